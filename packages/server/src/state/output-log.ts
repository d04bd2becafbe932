import { closeSync, mkdirSync, openSync, statSync, write, writeSync } from 'node:fs'
import { type FileHandle, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const writeAsync = promisify(write)

export type OutputStream = 'stdout' | 'stderr'

export interface Chunk {
  offset: number
  stream: OutputStream
  data: Uint8Array
}

/** Where output begins to come from a stream; the index file is a sequence of these, 8 bytes each. */
interface Run {
  offset: number
  stream: OutputStream
}

/** Writes up to this size happen in place: a trip to the thread pool would cost more. */
const SYNC_WRITE = 4096
const READ_SIZE = 256 * 1024
/** Bytes of the newest output held in memory for those who follow, so that they need not read the file. */
const RECENT = 256 * 1024

/**
 * The output of executions, kept on disk. `<id>.out` holds the bytes of stdout and stderr in the order in which they
 * came, so that an offset of the output is an offset of the file; `<id>.idx` tells which stream each run of bytes
 * came from, as u64 little-endian (offset × 2, plus 1 for stderr). A run is written before its bytes: after a crash
 * the last run may begin where the file ends, never the other way round.
 */
export class OutputLogs {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  /** Opens the log of a running execution; what an earlier server wrote is kept. */
  async writer(id: string, limit: number): Promise<OutputWriter> {
    const path = join(this.#dir, id)
    const size = sizeOf(`${path}.out`)
    // A new execution has no file, and asking for one in place costs less than a trip to the thread pool. The index
    // alone may be there: it is written first.
    const runs = size === 0 && sizeOf(`${path}.idx`) === 0 ? [] : await readRuns(path)
    return new OutputWriter(path, limit, runs, size)
  }

  /** The output of an execution that has ended. */
  async *read(id: string, offset: number, signal?: AbortSignal): AsyncGenerator<Chunk> {
    const path = join(this.#dir, id)
    const size = sizeOf(`${path}.out`)
    if (offset >= size) return
    const reader = new Reader(`${path}.out`, await readRuns(path))
    try {
      for (let at = offset; at < size; ) {
        signal?.throwIfAborted()
        const chunk = await reader.at(at, size)
        yield chunk
        at += chunk.data.length
      }
    } finally {
      await reader.close()
    }
  }

  async remove(id: string): Promise<void> {
    const path = join(this.#dir, id)
    await Promise.all([rm(`${path}.out`, { force: true }), rm(`${path}.idx`, { force: true })])
  }
}

/** The one writer of a running execution's log, and the source for those who follow it. */
export class OutputWriter {
  /** Bytes on disk: the next offset to keep. */
  kept: number
  /** Bytes seen, dropped ones included. */
  total: number
  /** Output was dropped: beyond the limit, or the disk refused it. */
  truncated = false
  readonly #path: string
  readonly #limit: number
  readonly #runs: Run[]
  #fd = -1
  #indexFd = -1
  #ended = false
  #recent: Chunk[] = []
  #recentBytes = 0
  #followers = 0
  #waiting = new Set<() => void>()

  constructor(path: string, limit: number, runs: Run[], size: number) {
    this.#path = path
    this.#limit = limit
    this.#runs = runs
    this.kept = size
    this.total = size
  }

  /** Keeps bytes at `offset`; bytes before `total` were kept already and are skipped. Resolves when they are in the file. */
  async append(offset: number, stream: OutputStream, data: Uint8Array): Promise<void> {
    const skip = this.total - offset
    if (skip >= data.length) return
    const fresh = skip > 0 ? data.subarray(skip) : data
    // Bytes that an earlier server dropped are a hole; what comes after it has no place in the file.
    if (skip < 0) this.truncated = true
    this.total = offset + data.length
    const room = this.truncated ? 0 : this.#limit - this.kept - this.#runs.length * 8
    const keep = fresh.length <= room ? fresh : fresh.subarray(0, Math.max(0, room))
    if (keep.length < fresh.length) this.truncated = true
    if (keep.length === 0) return
    try {
      await this.#write(stream, keep)
    } catch {
      // A full disk must not stop the command: what is kept stays exact, the rest is told as truncated.
      this.truncated = true
    }
    this.#notify()
  }

  async #write(stream: OutputStream, data: Uint8Array): Promise<void> {
    if (this.#fd < 0) this.#fd = openSync(`${this.#path}.out`, 'a', 0o600)
    if (this.#runs.at(-1)?.stream !== stream) this.#beginRun(stream)
    for (let at = 0; at < data.length; ) {
      const rest = at === 0 ? data : data.subarray(at)
      const written =
        rest.length <= SYNC_WRITE
          ? writeSync(this.#fd, rest)
          : (await writeAsync(this.#fd, rest)).bytesWritten
      if (this.#followers > 0) this.#remember({ offset: this.kept, stream, data: rest.subarray(0, written) })
      at += written
      this.kept += written
    }
  }

  #beginRun(stream: OutputStream): void {
    if (this.#indexFd < 0) this.#indexFd = openSync(`${this.#path}.idx`, 'a', 0o600)
    const entry = Buffer.alloc(8)
    entry.writeBigUInt64LE(BigInt(this.kept) * 2n + (stream === 'stderr' ? 1n : 0n))
    writeSync(this.#indexFd, entry)
    this.#runs.push({ offset: this.kept, stream })
  }

  #remember(chunk: Chunk): void {
    this.#recent.push(chunk)
    this.#recentBytes += chunk.data.length
    while (this.#recentBytes > RECENT && this.#recent.length > 1)
      this.#recentBytes -= this.#recent.shift()!.data.length
  }

  #notify(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** No more output comes; followers finish. */
  end(): void {
    this.#ended = true
    if (this.#fd >= 0) closeSync(this.#fd)
    if (this.#indexFd >= 0) closeSync(this.#indexFd)
    this.#fd = -1
    this.#indexFd = -1
    this.#notify()
  }

  /** Output from `offset` on until the end. */
  async *follow(offset: number, signal?: AbortSignal): AsyncGenerator<Chunk> {
    const reader = new Reader(`${this.#path}.out`, this.#runs)
    const wakeAll = () => this.#notify()
    signal?.addEventListener('abort', wakeAll)
    this.#followers++
    try {
      for (let at = offset; ; ) {
        signal?.throwIfAborted()
        if (at < this.kept) {
          const chunk = this.#recentAt(at) ?? (await reader.at(at, this.kept))
          yield chunk
          at = chunk.offset + chunk.data.length
        } else if (this.#ended) {
          return
        } else {
          await new Promise<void>((wake) => this.#waiting.add(wake))
        }
      }
    } finally {
      signal?.removeEventListener('abort', wakeAll)
      this.#forgetRecent()
      await reader.close()
    }
  }

  #forgetRecent(): void {
    this.#followers--
    if (this.#followers > 0) return
    this.#recent = []
    this.#recentBytes = 0
  }

  #recentAt(offset: number): Chunk | null {
    const first = this.#recent[0]
    if (first === undefined || offset < first.offset) return null
    const chunk = this.#recent.find((c) => offset < c.offset + c.data.length)
    if (chunk === undefined) return null
    if (chunk.offset === offset) return chunk
    return { offset, stream: chunk.stream, data: chunk.data.subarray(offset - chunk.offset) }
  }
}

class Reader {
  readonly #path: string
  readonly #runs: readonly Run[]
  #file: FileHandle | null = null

  constructor(path: string, runs: readonly Run[]) {
    this.#path = path
    this.#runs = runs
  }

  /** Bytes of one stream from `offset`, at most up to `end`. */
  async at(offset: number, end: number): Promise<Chunk> {
    this.#file ??= await open(this.#path, 'r')
    const index = this.#runIndex(offset)
    const until = Math.min(end, this.#runs[index + 1]?.offset ?? end, offset + READ_SIZE)
    const buffer = Buffer.allocUnsafe(until - offset)
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, offset)
    if (bytesRead === 0) throw new Error(`output file ${this.#path} is shorter than its record`)
    return { offset, stream: this.#runs[index]?.stream ?? 'stdout', data: buffer.subarray(0, bytesRead) }
  }

  /** The last run that begins at or before `offset`. */
  #runIndex(offset: number): number {
    let low = 0
    let high = this.#runs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#runs[middle]!.offset <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}

async function readRuns(path: string): Promise<Run[]> {
  let bytes: Buffer
  try {
    bytes = await readFile(`${path}.idx`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  const runs: Run[] = []
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const value = bytes.readBigUInt64LE(at)
    runs.push({ offset: Number(value / 2n), stream: value % 2n === 1n ? 'stderr' : 'stdout' })
  }
  return runs
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
