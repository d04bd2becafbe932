import { closeSync, constants, ftruncateSync, openSync, readdirSync, rmSync, statSync, unlink } from 'node:fs'
import { join } from 'node:path'
import { encodeMark, lastMarkBefore, MARK_SIZE, type Mark } from './output-index.ts'
import { writeInPlace } from './output-io.ts'

/** Bytes of output in one file, `<path>.out`, with their index, `<path>.index`. */
export interface Segment {
  readonly path: string
  /** Offset of its first byte. */
  readonly base: number
  /** Bytes that may be shown of the whole log, counted from its end; a beginning is not cut when it is shown. */
  readonly limit: number
  /** Offset behind its last byte. */
  end: number
  /** Bytes of its index. */
  indexBytes: number
}

/** What an index costs nothing up to: a file takes a block of the disk anyway. */
const FREE_INDEX = 4096
/** Files of this size are unlinked in the thread pool: the kernel takes its time to free their blocks. */
const LARGE = 1024 * 1024
/** Digits of the largest offset, so that names sort like offsets. */
const DIGITS = 16
const TAIL_SEGMENT = /^\d{16}\.\d+\.out$/

/** A log that keeps the beginning of its output is one segment. */
export function headPath(dir: string, id: string): string {
  return join(dir, id)
}

/** One that keeps the end is a directory of segments, named by their first offsets and its limit. */
export function tailPath(dir: string, id: string): string {
  return join(dir, `${id}.tail`)
}

/** A new segment, which is no file yet. */
export function newSegment(path: string, base: number, limit: number): Segment {
  return { path, base, limit, end: base, indexBytes: 0 }
}

export function newTailSegment(tail: string, base: number, limit: number): Segment {
  return newSegment(join(tail, `${String(base).padStart(DIGITS, '0')}.${limit}`), base, limit)
}

/** Offset of the first byte that is shown; null when there is none. */
export function startOf(segments: readonly Segment[]): number | null {
  const [first, last] = [segments[0], segments.at(-1)]
  return first === undefined || last === undefined ? null : Math.max(first.base, last.end - last.limit)
}

/** What counts towards the limit. */
export function costOf(segment: Segment, marks = 0): number {
  const index = segment.indexBytes + marks * MARK_SIZE - FREE_INDEX
  return segment.end - segment.base + Math.max(0, index)
}

/** The segments of a log, oldest first; none when nothing was written. */
export function segmentsOf(dir: string, id: string): Segment[] {
  const head = headSegment(headPath(dir, id))
  return head.length > 0 ? head : tailSegments(tailPath(dir, id))
}

export function headSegment(path: string): Segment[] {
  return found(newSegment(path, 0, Number.POSITIVE_INFINITY))
}

export function tailSegments(tail: string): Segment[] {
  if (statSync(tail, { throwIfNoEntry: false }) === undefined) return []
  const names = readdirSync(tail).filter((name) => TAIL_SEGMENT.test(name))
  return names.toSorted().flatMap((name) => {
    const [base, limit] = name.split('.')
    return found(newTailSegment(tail, Number(base), Number(limit)))
  })
}

/** The segment with its sizes; nothing when there is no such file. */
function found(segment: Segment): Segment[] {
  const size = sizeOf(`${segment.path}.out`)
  if (size === null) return []
  const indexBytes = sizeOf(`${segment.path}.index`) ?? 0
  return [{ ...segment, end: segment.base + size, indexBytes }]
}

function sizeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null
}

/** Takes a segment's files away; readers that have them open read on. */
export function removeSegment({ path, base, end }: Segment): void {
  for (const file of [`${path}.out`, `${path}.index`]) {
    if (end - base < LARGE) rmSync(file, { force: true })
    else unlink(file, () => {})
  }
}

/** A segment that is written to. Places are explicit, so that a part of a write that failed is written over. */
export class OpenSegment {
  readonly segment: Segment
  readonly fd: number
  readonly #indexFd: number
  /** The last mark, or null in a new segment. */
  last: Mark | null

  constructor(segment: Segment) {
    this.segment = segment
    const flags = constants.O_RDWR | constants.O_CREAT
    this.#indexFd = openSync(`${segment.path}.index`, flags, 0o600)
    try {
      this.fd = openSync(`${segment.path}.out`, flags, 0o600)
    } catch (error) {
      closeSync(this.#indexFd)
      throw error
    }
    const { count, last } = lastMarkBefore(this.#indexFd, segment.end)
    // Marks without bytes would tell lies of those that come now.
    if (segment.indexBytes > count * MARK_SIZE) ftruncateSync(this.#indexFd, count * MARK_SIZE)
    segment.indexBytes = count * MARK_SIZE
    this.last = last
  }

  mark(mark: Mark): void {
    const { segment } = this
    const data = encodeMark(mark)
    writeInPlace({ fd: this.#indexFd, data, position: segment.indexBytes, wrote: () => {} })
    segment.indexBytes += MARK_SIZE
    this.last = mark
  }

  close(): void {
    closeSync(this.fd)
    closeSync(this.#indexFd)
  }
}
