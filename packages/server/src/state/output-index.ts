import { fstatSync, openSync, readSync } from 'node:fs'
import { readAsync } from './output-io.ts'

export type OutputStream = 'stdout' | 'stderr'

/** From `offset` on, output came from this stream, at this time (milliseconds since the epoch). */
export interface Mark {
  offset: number
  stream: OutputStream
  time: number
}

/** A mark, and where the next one is. */
export interface Run extends Mark {
  until: number
}

/**
 * An index file is a sequence of marks in the order of their offsets: u64 little-endian offset × 2, plus 1 for stderr;
 * u64 little-endian time. A mark is written before its bytes, so that no byte is without one after a crash.
 */
export const MARK_SIZE = 16
/** Marks that a reader holds at once. */
const WINDOW = 256

export function encodeMark({ offset, stream, time }: Mark): Buffer {
  const bytes = Buffer.allocUnsafe(MARK_SIZE)
  bytes.writeBigUInt64LE(BigInt(offset) * 2n + (stream === 'stderr' ? 1n : 0n))
  bytes.writeBigUInt64LE(BigInt(time), 8)
  return bytes
}

function decodeMark(bytes: Buffer, at: number): Mark {
  const value = bytes.readBigUInt64LE(at)
  return {
    offset: Number(value / 2n),
    stream: value % 2n === 1n ? 'stderr' : 'stdout',
    time: Number(bytes.readBigUInt64LE(at + 8)),
  }
}

/** The last mark before `end`, and how many marks there are up to it; what is behind was cut off by a crash. */
export function lastMarkBefore(fd: number, end: number): { count: number; last: Mark | null } {
  const bytes = Buffer.alloc(MARK_SIZE)
  const markAt = (i: number): Mark => {
    readSync(fd, bytes, 0, MARK_SIZE, i * MARK_SIZE)
    return decodeMark(bytes, 0)
  }
  let low = 0
  let high = Math.floor(fstatSync(fd).size / MARK_SIZE)
  while (low < high) {
    const middle = (low + high) >> 1
    if (markAt(middle).offset < end) low = middle + 1
    else high = middle
  }
  return { count: low, last: low === 0 ? null : markAt(low - 1) }
}

/** Finds the marks of a file, of which it holds only a window. */
export class IndexReader {
  readonly fd: number
  readonly #fallback: number
  readonly #window = Buffer.allocUnsafe(WINDOW * MARK_SIZE)
  #first = 0
  #count = 0

  /** @param fallback the time of bytes that no mark tells anything of: the disk lost it. */
  constructor(path: string, fallback: number) {
    this.fd = openSync(path, 'r')
    this.#fallback = fallback
  }

  /** The run with the byte at `offset`, or null when it is not in the window. */
  find(offset: number): Run | null {
    if (this.#count === 0 || offset < this.#mark(0).offset) return null
    if (offset >= this.#mark(this.#count - 1).offset) return null
    return this.#run(this.#before(offset))
  }

  /** The same, with the window brought there; in place, for an index that is surely in the page cache. */
  loadInPlace(offset: number): Run {
    const steps = this.#load(offset)
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value
      const { first, length } = step.value
      this.#brought(first, readSync(this.fd, this.#window, 0, length, first * MARK_SIZE))
    }
  }

  /** The same, for an index that the disk may have to be asked for. */
  async loadInPool(offset: number): Promise<Run> {
    const steps = this.#load(offset)
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value
      const { first, length } = step.value
      this.#brought(first, await readAsync(this.fd, this.#window, length, first * MARK_SIZE))
    }
  }

  #brought(first: number, bytes: number): void {
    this.#first = first
    this.#count = Math.floor(bytes / MARK_SIZE)
  }

  /** Yields what is to be read into the window. */
  *#load(offset: number): Generator<{ first: number; length: number }, Run> {
    const length = this.#window.length
    // Whoever reads on needs what comes after the window.
    if (this.#count > 0 && this.#mark(this.#count - 1).offset <= offset) {
      yield { first: this.#first + this.#count - 1, length }
      const found = this.find(offset)
      if (found !== null) return found
    }
    let low = 0
    let high = Math.floor(fstatSync(this.fd).size / MARK_SIZE) - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      yield { first: middle, length: MARK_SIZE }
      if (this.#mark(0).offset <= offset) low = middle
      else high = middle - 1
    }
    yield { first: low, length }
    const place = this.#before(offset)
    if (place >= 0) return this.#run(place)
    const until = this.#count > 0 ? this.#mark(0).offset : Number.POSITIVE_INFINITY
    return { offset: 0, stream: 'stdout', time: this.#fallback, until }
  }

  /** Place in the window of the last mark at or before `offset`; -1: all are behind it. */
  #before(offset: number): number {
    let low = -1
    let high = this.#count - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#mark(middle).offset <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  #mark(place: number): Mark {
    return decodeMark(this.#window, place * MARK_SIZE)
  }

  #run(place: number): Run {
    const until = place + 1 < this.#count ? this.#mark(place + 1).offset : Number.POSITIVE_INFINITY
    return { ...this.#mark(place), until }
  }
}
