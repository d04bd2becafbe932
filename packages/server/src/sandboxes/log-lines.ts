import type { OutputChunk } from './use-cases.ts'

/** A longer line is passed on in pieces of this size, so that one without end takes no memory. */
export const MAX_LINE = 64 * 1024
const NEWLINE = 10

/** A line, or a piece of one that is too long. */
export interface Piece {
  stream: OutputChunk['stream']
  bytes: Buffer
  /** When its first byte came, milliseconds since the epoch. */
  time: number
  /** It begins its line. */
  first: boolean
}

/** Puts the lines of each stream together, however its output was torn. */
export class LineCutter {
  readonly #open = { stdout: new OpenLine('stdout'), stderr: new OpenLine('stderr') };

  /** The lines that end with these bytes. */
  *push({ stream, time, data }: OutputChunk): Generator<Piece> {
    const open = this.#open[stream]
    // The reader uses the chunk's memory again.
    const bytes = Buffer.from(data)
    for (let at = 0; at < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, at)
      const end = newline < 0 ? bytes.length : newline + 1
      const stop = Math.min(end, at + open.room)
      open.add(bytes.subarray(at, stop), time)
      at = stop
      if (at === newline + 1) yield open.take(true)
      else if (open.room === 0) yield open.take(false)
    }
  }

  /** What was left without a newline. */
  *end(): Generator<Piece> {
    for (const open of [this.#open.stdout, this.#open.stderr]) if (open.room < MAX_LINE) yield open.take(true)
  }
}

class OpenLine {
  readonly #stream: OutputChunk['stream']
  #parts: Buffer[] = []
  #length = 0
  #time = 0
  #first = true

  constructor(stream: OutputChunk['stream']) {
    this.#stream = stream
  }

  get room(): number {
    return MAX_LINE - this.#length
  }

  add(bytes: Buffer, time: number): void {
    if (this.#length === 0) this.#time = time
    this.#parts.push(bytes)
    this.#length += bytes.length
  }

  take(whole: boolean): Piece {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    const piece = { stream: this.#stream, bytes, time: this.#time, first: this.#first }
    this.#parts = []
    this.#length = 0
    this.#first = whole
    return piece
  }
}
