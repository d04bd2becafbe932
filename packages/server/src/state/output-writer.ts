import type { SegmentChain } from './output-chain.ts'
import type { OutputStream } from './output-index.ts'
import { writeInPlace, writeInPool } from './output-io.ts'
import { type Chunk, SegmentReader } from './output-reader.ts'
import type { Segment } from './output-segments.ts'

/**
 * Writes happen in place: the page cache takes a chunk in a fraction of what a trip to the thread pool costs. When the
 * kernel makes a writer wait (too many dirty pages), that is felt here, and writes go to the pool for a while, so that
 * nothing else waits with them.
 */
const SLOW_WRITE_MS = 5
const AVOID_MS = 500
/** What was written so recently is read in place, because it is surely in the page cache. */
const HOT = 4 * 1024 * 1024
/** Bytes that those who wait for them are given at once: reading so few back costs more than a copy. */
const HANDED = 4096
let avoidUntil = 0

/** The one writer of a running execution's log, and the source for those who follow it. */
export class OutputWriter {
  /** Offset behind the last byte seen, dropped ones included. */
  total: number
  readonly #chain: SegmentChain
  /** Writes under way in the thread pool; the next ones wait for them. */
  #writing: Promise<void> | null = null
  #ended = false
  #waiting = new Set<(written: Chunk | null) => void>()

  constructor(chain: SegmentChain) {
    this.#chain = chain
    this.total = chain.end ?? 0
  }

  /** Output was dropped: beyond the limit, or the disk refused it. */
  get truncated(): boolean {
    return this.#chain.truncated
  }

  set truncated(value: boolean) {
    this.#chain.truncated = value
  }

  /** Offset of the first byte that is kept. */
  get start(): number {
    return this.#chain.start ?? this.kept
  }

  /** Offset behind the last byte that is kept. */
  get kept(): number {
    return this.#chain.end ?? (this.#chain.keep === 'head' ? 0 : this.total)
  }

  /**
   * Keeps bytes at `offset`; bytes before `total` were kept already and are skipped. When it has returned, or what it
   * returned has resolved, they are in the file; `data` is not needed any more when the call has returned.
   */
  append(offset: number, stream: OutputStream, data: Uint8Array): void | Promise<void> {
    const from = Math.max(offset, this.total)
    const fresh = data.subarray(from - offset)
    if (fresh.length === 0) return
    // Bytes that an earlier server dropped are a hole; what comes after it is no part of a beginning.
    if (offset > this.total) this.truncated = true
    this.total = offset + data.length
    const { keep, room } = this.#chain
    if (keep === 'head' && this.truncated) return
    const skip = keep === 'head' ? 0 : Math.max(0, fresh.length - room)
    if (room === 0 || skip > 0) this.truncated = true
    if (room === 0) return
    const kept = fresh.subarray(skip)
    if (this.#writing !== null || performance.now() < avoidUntil) {
      return this.#later(from + skip, stream, Buffer.from(kept))
    }
    this.#now(from + skip, stream, kept)
  }

  #now(offset: number, stream: OutputStream, data: Uint8Array): void {
    const began = performance.now()
    try {
      for (const piece of this.#chain.pieces(offset, stream, data)) writeInPlace(piece)
    } catch {
      // A full disk must not stop the command: what is kept stays exact, the rest is told as truncated.
      this.truncated = true
    }
    const ended = performance.now()
    if (ended - began > SLOW_WRITE_MS) avoidUntil = ended + AVOID_MS
    this.#notify(this.#handed(offset, stream, data))
  }

  /** What was just written as readers see it; null: they read it for themselves. */
  #handed(offset: number, stream: OutputStream, data: Uint8Array): Chunk | null {
    if (this.#waiting.size === 0 || data.length > HANDED || this.kept !== offset + data.length) return null
    const time = this.#chain.lastTime
    return time === null ? null : { offset, stream, time, data: Buffer.from(data) }
  }

  async #later(offset: number, stream: OutputStream, data: Uint8Array): Promise<void> {
    const before = this.#writing
    const writing = this.#inPool(before, offset, stream, data)
    this.#writing = writing
    await writing
    if (this.#writing === writing) this.#writing = null
  }

  async #inPool(
    before: Promise<void> | null,
    offset: number,
    stream: OutputStream,
    data: Uint8Array,
  ): Promise<void> {
    await before
    try {
      for (const piece of this.#chain.pieces(offset, stream, data)) await writeInPool(piece)
    } catch {
      // As above.
      this.truncated = true
    }
    this.#notify()
  }

  #notify(written: Chunk | null = null): void {
    for (const wake of this.#waiting) wake(written)
    this.#waiting.clear()
  }

  /** No more output comes; followers finish when they have everything. */
  end(): void {
    const close = () => {
      this.#ended = true
      this.#chain.close()
      this.#notify()
    }
    if (this.#writing === null) close()
    else void this.#writing.then(close)
  }

  /** Output from `offset` on until the end; where it is not kept any more, from the first byte that is. */
  async *follow(offset: number, signal?: AbortSignal): AsyncGenerator<Chunk> {
    const wakeAll = () => this.#notify()
    signal?.addEventListener('abort', wakeAll)
    let reader = null as SegmentReader | null
    try {
      for (let at = Math.max(offset, this.start); ; ) {
        signal?.throwIfAborted()
        // A reader goes on with a segment that it has open, even when that was removed meanwhile.
        const open: Segment | undefined = reader?.segment
        const segment: Segment | undefined = open !== undefined && at < open.end ? open : this.#chain.find(at)
        if (segment === undefined) {
          if (this.#ended) return
          const written = await new Promise<Chunk | null>((wake) => this.#waiting.add(wake))
          if (written?.offset !== at) continue
          yield written
          at += written.data.length
          continue
        }
        if (reader?.segment !== segment) {
          reader?.close()
          reader = null
          reader = new SegmentReader(segment)
        }
        const next = this.#next(reader, Math.max(at, segment.base))
        const chunk = next instanceof Promise ? await next : next
        yield chunk
        at = chunk.offset + chunk.data.length
      }
    } finally {
      signal?.removeEventListener('abort', wakeAll)
      reader?.close()
    }
  }

  #next(reader: SegmentReader, at: number): Chunk | Promise<Chunk> {
    return reader.next(at, this.kept - at <= HOT, this.#chain.lastMarkOf(reader.segment))
  }
}
