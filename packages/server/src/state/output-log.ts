import { closeSync, mkdirSync, openSync, read, readSync, statSync, write, writeSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const writeAsync = promisify(write)
const readAsync = promisify(read)
const EMPTY = Buffer.alloc(0)

export type OutputStream = 'stdout' | 'stderr'

/** Output of one stream. `data` is only valid until the next chunk is asked for: readers use their buffer again. */
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

/**
 * Writes happen in place: the page cache takes a chunk in a fraction of what a trip to the thread pool costs. When the
 * kernel makes a writer wait (too many dirty pages), that is felt here, and writes go to the pool for a while, so that
 * nothing else waits with them.
 */
const SLOW_WRITE_MS = 5
const AVOID_MS = 500
/** Bytes that a reader takes at once. */
const READ_SIZE = 256 * 1024
/** What was written so recently is read in place, because it is surely in the page cache. */
const HOT = 4 * 1024 * 1024

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
        const chunk = await reader.cold(at, size)
        yield chunk
        at += chunk.data.length
      }
    } finally {
      reader.close()
    }
  }

  async remove(id: string): Promise<void> {
    const path = join(this.#dir, id)
    await Promise.all([rm(`${path}.out`, { force: true }), rm(`${path}.idx`, { force: true })])
  }
}

let avoidUntil = 0

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
  #waiting = new Set<() => void>()

  constructor(path: string, limit: number, runs: Run[], size: number) {
    this.#path = path
    this.#limit = limit
    this.#runs = runs
    this.kept = size
    this.total = size
  }

  /** Keeps bytes at `offset`; bytes before `total` were kept already and are skipped. Resolves, or returns, when they are in the file; `data` is not needed any more when the call has returned. */
  append(offset: number, stream: OutputStream, data: Uint8Array): void | Promise<void> {
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
    if (performance.now() < avoidUntil) return this.#writeInPool(stream, Buffer.from(keep))
    this.#writeInPlace(stream, keep)
  }

  #writeInPlace(stream: OutputStream, data: Uint8Array): void {
    const began = performance.now()
    try {
      this.#open(stream)
      for (let at = 0; at < data.length; ) {
        const written = writeSync(this.#fd, data, at)
        at += written
        this.kept += written
      }
    } catch {
      // A full disk must not stop the command: what is kept stays exact, the rest is told as truncated.
      this.truncated = true
    }
    const ended = performance.now()
    if (ended - began > SLOW_WRITE_MS) avoidUntil = ended + AVOID_MS
    this.#notify()
  }

  async #writeInPool(stream: OutputStream, data: Uint8Array): Promise<void> {
    try {
      this.#open(stream)
      for (let at = 0; at < data.length; ) {
        const { bytesWritten } = await writeAsync(this.#fd, data, at)
        at += bytesWritten
        this.kept += bytesWritten
      }
    } catch {
      // As above.
      this.truncated = true
    }
    this.#notify()
  }

  #open(stream: OutputStream): void {
    if (this.#fd < 0) this.#fd = openSync(`${this.#path}.out`, 'a', 0o600)
    if (this.#runs.at(-1)?.stream !== stream) this.#beginRun(stream)
  }

  #beginRun(stream: OutputStream): void {
    if (this.#indexFd < 0) this.#indexFd = openSync(`${this.#path}.idx`, 'a', 0o600)
    const entry = Buffer.alloc(8)
    entry.writeBigUInt64LE(BigInt(this.kept) * 2n + (stream === 'stderr' ? 1n : 0n))
    writeSync(this.#indexFd, entry)
    this.#runs.push({ offset: this.kept, stream })
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
    try {
      for (let at = offset; ; ) {
        signal?.throwIfAborted()
        if (at < this.kept) {
          const chunk = this.kept - at <= HOT ? reader.hot(at, this.kept) : await reader.cold(at, this.kept)
          yield chunk
          at += chunk.data.length
        } else if (this.#ended) {
          return
        } else {
          await new Promise<void>((wake) => this.#waiting.add(wake))
        }
      }
    } finally {
      signal?.removeEventListener('abort', wakeAll)
      reader.close()
    }
  }
}

/** Reads a log piece by piece, into one buffer that it keeps. */
class Reader {
  readonly #path: string
  readonly #runs: readonly Run[]
  #fd = -1
  #buffer = EMPTY

  constructor(path: string, runs: readonly Run[]) {
    this.#path = path
    this.#runs = runs
  }

  /** Bytes of one stream from `offset`, at most up to `end`, which are in the page cache. */
  hot(offset: number, end: number): Chunk {
    const length = this.#prepare(offset, end)
    return this.#chunk(offset, readSync(this.#fd, this.#buffer, 0, length, offset))
  }

  /** The same, for bytes that the disk may have to be asked for. */
  async cold(offset: number, end: number): Promise<Chunk> {
    const length = this.#prepare(offset, end)
    const { bytesRead } = await readAsync(this.#fd, this.#buffer, 0, length, offset)
    return this.#chunk(offset, bytesRead)
  }

  #prepare(offset: number, end: number): number {
    if (this.#fd < 0) this.#fd = openSync(this.#path, 'r')
    const length =
      Math.min(end, this.#runs[this.#runIndex(offset) + 1]?.offset ?? end, offset + READ_SIZE) - offset
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafe(length)
    return length
  }

  #chunk(offset: number, length: number): Chunk {
    if (length === 0) throw new Error(`output file ${this.#path} is shorter than its record`)
    const stream = this.#runs[this.#runIndex(offset)]?.stream ?? 'stdout'
    return { offset, stream, data: this.#buffer.subarray(0, length) }
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

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
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
