import { mkdirSync } from 'node:fs'
import type { Mark, OutputStream } from './output-index.ts'
import type { Piece } from './output-io.ts'
import {
  costOf,
  newSegment,
  newTailSegment,
  OpenSegment,
  removeSegment,
  type Segment,
  startOf,
} from './output-segments.ts'

/** Output that came within this time of a mark has its time. */
const TIME_STEP_MS = 10
/** Into how many segments the end of an output is divided: the oldest goes when there is no room for more. */
const SEGMENTS = 4
/** Smaller ones would be more files than bytes; of a smaller limit, more is on disk than is shown. */
const MIN_SEGMENT = 64 * 1024
/** Holes begin new segments, however short the last one is. */
const MAX_SEGMENTS = 2 * SEGMENTS

export interface OutputOptions {
  /** Bytes kept at most, those of the index included. */
  limit: number
  /** Which end is kept when the output is more. */
  keep: 'head' | 'tail'
}

/** The segments of a log that is written, and what goes where. */
export class SegmentChain {
  /** Output is not kept: beyond the limit, or the disk refused it. */
  truncated: boolean
  readonly keep: 'head' | 'tail'
  /** Bytes on disk at most. */
  readonly room: number
  readonly #path: string
  readonly #limit: number
  readonly #segmentSize: number
  readonly #segments: Segment[]
  #open: OpenSegment | null = null

  /** @param path of the one segment of a head, of the directory of a tail */
  constructor(path: string, { limit, keep }: OutputOptions, segments: Segment[]) {
    this.#path = path
    this.#limit = limit
    this.keep = keep
    this.room = keep === 'head' || limit === 0 ? limit : Math.max(limit, SEGMENTS * MIN_SEGMENT)
    this.#segmentSize = keep === 'head' ? limit : Math.floor(this.room / SEGMENTS)
    this.#segments = segments
    this.truncated = (this.start ?? 0) > 0
  }

  /** Offset of the first byte that is kept; null: there is none. */
  get start(): number | null {
    return startOf(this.#segments)
  }

  /** Offset behind the last byte that is kept; null: there is none. */
  get end(): number | null {
    return this.#segments.at(-1)?.end ?? null
  }

  /** The first segment that ends behind `offset`. */
  find(offset: number): Segment | undefined {
    return this.#segments.find(({ end }) => offset < end)
  }

  /** The last mark of the segment that is written to, null for others. */
  lastMarkOf(segment: Segment): Mark | null {
    return this.#open?.segment === segment ? this.#open.last : null
  }

  /** When the last bytes came; null: nothing was written by this chain. */
  get lastTime(): number | null {
    return this.#open?.last?.time ?? null
  }

  close(): void {
    this.#open?.close()
    this.#open = null
  }

  /** Divides bytes into what goes into each segment; the caller writes a piece before it asks for the next. */
  *pieces(offset: number, stream: OutputStream, data: Uint8Array): Generator<Piece> {
    for (let at = 0; at < data.length; ) {
      if (this.keep === 'head' && this.truncated) return
      const open = this.#segmentFor(offset + at)
      const { segment } = open
      const mark = this.#newMark(open, offset + at, stream)
      const room = this.#roomIn(segment, mark === null ? 0 : 1)
      const piece = data.subarray(at, at + room)
      if (piece.length < data.length - at && this.keep === 'head') this.truncated = true
      if (piece.length === 0) return
      this.#makeRoom(piece.length)
      if (mark !== null) open.mark(mark)
      const position = segment.end - segment.base
      yield { fd: open.fd, data: piece, position, wrote: (bytes) => this.#wrote(segment, bytes) }
      at += piece.length
    }
  }

  #wrote(segment: Segment, bytes: number): void {
    segment.end += bytes
    if ((this.start ?? 0) > 0) this.truncated = true
  }

  #newMark({ last }: OpenSegment, offset: number, stream: OutputStream) {
    const time = Date.now()
    // A clock that was set back is followed.
    const isNear = last !== null && time - last.time < TIME_STEP_MS && time >= last.time
    return isNear && last.stream === stream ? null : { offset, stream, time }
  }

  /** Bytes that a segment can take; one that was chosen takes at least one of a tail. */
  #roomIn(segment: Segment, marks: number): number {
    return Math.max(this.keep === 'head' ? 0 : 1, this.#segmentSize - costOf(segment, marks))
  }

  /** The segment that goes on at `offset`: the last one, or a new one. */
  #segmentFor(offset: number): OpenSegment {
    const last = this.#segments.at(-1)
    if (last === undefined) return this.#begin(offset)
    const goesOn = last.end === offset && costOf(last, 1) < this.#segmentSize
    if (this.keep === 'tail' && !goesOn) return this.#begin(offset)
    this.#open ??= new OpenSegment(last)
    return this.#open
  }

  #begin(base: number): OpenSegment {
    this.close()
    const isHead = this.keep === 'head'
    if (!isHead && this.#segments.length === 0) mkdirSync(this.#path, { recursive: true, mode: 0o700 })
    const segment = isHead
      ? newSegment(this.#path, 0, Number.POSITIVE_INFINITY)
      : newTailSegment(this.#path, base, this.#limit)
    this.#open = new OpenSegment(segment)
    this.#segments.push(segment)
    return this.#open
  }

  /** Removes the oldest segments of a tail until there is room for `bytes` more. */
  #makeRoom(bytes: number): void {
    if (this.keep === 'head') return
    const isFull = () =>
      this.#segments.length > MAX_SEGMENTS ||
      this.#segments.reduce((sum, segment) => sum + costOf(segment), bytes) > this.room
    while (this.#segments.length > 1 && isFull()) removeSegment(this.#segments.shift()!)
  }
}
