import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { IndexReader, type Mark, type OutputStream, type Run } from './output-index.ts'
import { readAsync } from './output-io.ts'
import type { Segment } from './output-segments.ts'

/** Bytes that a reader takes at once. */
const READ_SIZE = 256 * 1024
const EMPTY = Buffer.alloc(0)

/** Output of one stream. `data` is only valid until the next chunk is asked for: readers use their buffer again. */
export interface Chunk {
  offset: number
  stream: OutputStream
  /** When it came, in milliseconds since the epoch. */
  time: number
  data: Uint8Array
}

/** Reads a segment piece by piece, into one buffer that it keeps. It goes on when the segment's files are removed. */
export class SegmentReader {
  readonly segment: Segment
  readonly #fd: number
  readonly #index: IndexReader
  #buffer = EMPTY
  /** Where the buffer's bytes are from. */
  #from = 0
  #to = 0

  constructor(segment: Segment) {
    this.segment = segment
    this.#fd = openSync(`${segment.path}.out`, 'r')
    try {
      this.#index = new IndexReader(`${segment.path}.index`, Math.floor(fstatSync(this.#fd).mtimeMs))
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  /**
   * Bytes of one stream from `offset`.
   * @param hot whether they are surely in the page cache; then they are read in place
   * @param last the segment's last mark, when the caller knows it
   */
  next(offset: number, hot: boolean, last: Mark | null): Chunk | Promise<Chunk> {
    const { end } = this.segment
    const run = last !== null && offset >= last.offset ? { ...last, until: end } : this.#index.find(offset)
    if (!hot && (run === null || !this.#holds(offset))) return this.#fromDisk(offset, end, run)
    if (!this.#holds(offset)) {
      const length = this.#prepare(offset, end)
      this.#to = offset + readSync(this.#fd, this.#buffer, 0, length, offset - this.segment.base)
    }
    return this.#chunk(offset, run ?? this.#index.loadInPlace(offset))
  }

  async #fromDisk(offset: number, end: number, known: Run | null): Promise<Chunk> {
    const run = known ?? (await this.#index.loadInPool(offset))
    if (!this.#holds(offset)) {
      const length = this.#prepare(offset, end)
      this.#to = offset + (await readAsync(this.#fd, this.#buffer, length, offset - this.segment.base))
    }
    return this.#chunk(offset, run)
  }

  #holds(offset: number): boolean {
    return offset >= this.#from && offset < this.#to
  }

  #prepare(offset: number, end: number): number {
    const length = Math.min(end - offset, READ_SIZE)
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafe(length)
    this.#from = this.#to = offset
    return length
  }

  #chunk(offset: number, { stream, time, until }: Run): Chunk {
    // What a power cut left of an index may say anything; the bytes are told all the same.
    const to = until > offset ? Math.min(until, this.#to) : this.#to
    if (to <= offset) throw new Error(`output file ${this.segment.path}.out is shorter than its record`)
    return { offset, stream, time, data: this.#buffer.subarray(offset - this.#from, to - this.#from) }
  }

  close(): void {
    closeSync(this.#fd)
    closeSync(this.#index.fd)
  }
}
