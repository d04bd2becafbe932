import { mkdirSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { type OutputOptions, SegmentChain } from './output-chain.ts'
import { type Chunk, SegmentReader } from './output-reader.ts'
import {
  headPath,
  headSegment,
  type Segment,
  segmentsOf,
  startOf,
  tailPath,
  tailSegments,
} from './output-segments.ts'
import { OutputWriter } from './output-writer.ts'

export type { OutputOptions } from './output-chain.ts'
export type { OutputStream } from './output-index.ts'
export type { Chunk } from './output-reader.ts'
export { OutputWriter }

/**
 * The output of executions, kept on disk: the bytes of stdout and stderr in the order in which they came. A log that
 * keeps the beginning is `<id>.out`, so that an offset of the output is an offset of the file; one that keeps the end
 * is a directory `<id>.tail` of segments, each named by the offset of its first byte. An index beside every file
 * tells which stream each run of bytes came from, and when. Nothing of it is held in memory.
 */
export class OutputLogs {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  /** Opens the log of a running execution; what an earlier server wrote is kept. */
  async writer(id: string, options: OutputOptions): Promise<OutputWriter> {
    if (options.keep === 'tail') {
      const path = tailPath(this.#dir, id)
      return new OutputWriter(new SegmentChain(path, options, tailSegments(path)))
    }
    const path = headPath(this.#dir, id)
    return new OutputWriter(new SegmentChain(path, options, headSegment(path)))
  }

  /** Offsets of what is kept, from the first byte up to, not including, `end`. */
  bounds(id: string): { start: number; end: number } {
    const segments = segmentsOf(this.#dir, id)
    return { start: startOf(segments) ?? 0, end: segments.at(-1)?.end ?? 0 }
  }

  /** What is kept of an output now, from `offset` on. Where something is missing, a chunk begins behind the last one's end. */
  async *read(id: string, offset: number, signal?: AbortSignal): AsyncGenerator<Chunk> {
    const segments = segmentsOf(this.#dir, id)
    const start = Math.max(offset, startOf(segments) ?? 0)
    for (const segment of segments) {
      if (start >= segment.end) continue
      const reader = openReader(segment)
      if (reader === null) continue
      try {
        for (let at = Math.max(start, segment.base); at < segment.end; ) {
          signal?.throwIfAborted()
          const chunk = await reader.next(at, false, null)
          yield chunk
          at += chunk.data.length
        }
      } finally {
        reader.close()
      }
    }
  }

  /** The ids of all logs, those included that a died server left unfinished. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#dir)
    return [...new Set(names.map((name) => name.replace(/\.(out|index|tail)$/, '')))]
  }

  async remove(id: string): Promise<void> {
    const head = headPath(this.#dir, id)
    const tail = rm(tailPath(this.#dir, id), { recursive: true, force: true })
    await Promise.all([rm(`${head}.out`, { force: true }), rm(`${head}.index`, { force: true }), tail])
  }
}

/** Null: its execution runs and has dropped it since, or it is being purged. */
function openReader(segment: Segment): SegmentReader | null {
  try {
    return new SegmentReader(segment)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
