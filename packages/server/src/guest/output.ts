import { encodeAck, FrameError, parseBulk } from '@caisson/protocol/frame-codec'
import { Flag, type Frame, LIMITS } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'
import type { OutputSink } from './guest.ts'

/** Kept bytes are acknowledged when they are this many, … */
const ACK_BYTES = LIMITS.WINDOW / 2
/** … or after so many quiet milliseconds, so that the agent can give its buffer back. */
const ACK_IDLE_MS = 20
/** While a write is under way, pieces up to this size are joined: a program that prints byte by byte costs little. */
const JOIN_SIZE = 8192
/** Pieces that wait for the sink before the connection is not read any more. */
const MAX_WAITING = 1024

interface Piece {
  offset: number
  stderr: boolean
  data: Uint8Array
  /** `data` is the beginning of a buffer of `JOIN_SIZE` that belongs to this piece. */
  joined: boolean
}

/**
 * The output of one execution on its way to the sink: offsets are verified, writes are in order and one at a time,
 * and only what the sink has kept is acknowledged.
 */
export class OutputFlow {
  readonly #connection: Connection
  readonly #stream: number
  readonly #sink: OutputSink
  readonly #onSinkFailed: (error: unknown) => void
  /** Offset behind the last byte that arrived, that was kept, and that was acknowledged. */
  #received: number
  #kept: number
  #acknowledged: number
  #ceiling = Number.POSITIVE_INFINITY
  #begun = false
  #stopped = false
  #writing = false
  #paused = false
  #waiting: (Piece | (() => void))[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(
    connection: Connection,
    stream: number,
    offset: number,
    sink: OutputSink,
    onSinkFailed: (error: unknown) => void,
  ) {
    this.#connection = connection
    this.#stream = stream
    this.#sink = sink
    this.#onSinkFailed = onSinkFailed
    this.#received = this.#kept = this.#acknowledged = offset
  }

  /** Takes an OUTPUT frame. @throws FrameError when the agent leaves its window or the order of offsets. */
  receive(frame: Frame): void {
    const { offset, bytes } = parseBulk(frame.payload)
    if (!this.#begun) this.#begin(offset)
    const end = offset + bytes.length
    if (offset !== this.#received || bytes.length === 0 || !Number.isSafeInteger(end))
      throw new FrameError(`Output at offset ${offset} does not continue ${this.#received}`)
    if (end - this.#acknowledged > LIMITS.WINDOW) throw new FrameError('Output came beyond the window')
    this.#received = end
    if (this.#stopped) return
    const stderr = (frame.flags & Flag.STDERR) !== 0
    if (this.#writing) this.#enqueue(offset, stderr, bytes)
    else if (!this.#write(offset, stderr, bytes)) this.#writing = true
  }

  /** Acknowledges no further than `offset`: the agent sends one window more and then lets the program wait. */
  pace(offset: number | null): void {
    this.#ceiling = offset ?? Number.POSITIVE_INFINITY
    this.#keep(this.#kept)
  }

  /** Checks the total that OUTPUT_CLOSED tells. @throws FrameError */
  finish(total: number): void {
    if (this.#begun ? total !== this.#received : total < this.#received)
      throw new FrameError(`The output has ${this.#received} bytes, not ${total}`)
  }

  /** Calls back when everything that has arrived is kept. */
  after(step: () => void): void {
    if (this.#writing) this.#waiting.push(step)
    else step()
  }

  /** Nothing more goes to the sink. */
  stop(): void {
    this.#stopped = true
    this.#waiting = []
    clearTimeout(this.#timer)
    this.#unpause()
  }

  /** The agent skips what it holds no more, so the first offset may be higher than was asked for. */
  #begin(offset: number): void {
    if (offset < this.#received) throw new FrameError(`Output at offset ${offset} was not asked for`)
    this.#begun = true
    this.#received = this.#kept = this.#acknowledged = offset
  }

  #enqueue(offset: number, stderr: boolean, bytes: Uint8Array): void {
    const last = this.#waiting.at(-1)
    if (typeof last === 'object' && last.stderr === stderr && last.data.length + bytes.length <= JOIN_SIZE) {
      const buffer = last.joined ? last.data.buffer : new ArrayBuffer(JOIN_SIZE)
      const joined = new Uint8Array(buffer, 0, last.data.length + bytes.length)
      if (!last.joined) joined.set(last.data)
      joined.set(bytes, last.data.length)
      last.data = joined
      last.joined = true
      return
    }
    this.#waiting.push({ offset, stderr, data: Buffer.from(bytes), joined: false })
    if (this.#waiting.length < MAX_WAITING || this.#paused) return
    this.#paused = true
    this.#connection.pause()
  }

  /** @returns whether the sink has taken the bytes already. */
  #write(offset: number, stderr: boolean, data: Uint8Array): boolean {
    const end = offset + data.length
    let pending: void | Promise<void>
    try {
      pending = this.#sink.write(offset, stderr ? 'stderr' : 'stdout', data)
    } catch (error) {
      this.#sinkFailed(error)
      return true
    }
    if (pending === undefined) {
      this.#keep(end)
      return true
    }
    pending.then(() => this.#written(end), this.#sinkFailed)
    return false
  }

  #written(end: number): void {
    if (this.#stopped) return
    this.#keep(end)
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (typeof next === 'function') next()
      else if (!this.#write(next.offset, next.stderr, next.data)) return
    }
    this.#writing = false
    this.#unpause()
  }

  #keep(end: number): void {
    this.#kept = end
    const takes = Math.min(end, this.#ceiling) - this.#acknowledged
    if (takes <= 0) return
    if (takes >= ACK_BYTES) this.#acknowledge()
    else if (this.#timer === undefined) this.#timer = setTimeout(this.#acknowledge, ACK_IDLE_MS).unref()
  }

  #acknowledge = (): void => {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const upTo = Math.min(this.#kept, this.#ceiling)
    if (this.#stopped || upTo <= this.#acknowledged) return
    this.#acknowledged = upTo
    this.#connection.send(encodeAck(this.#stream, upTo))
  }

  #sinkFailed = (error: unknown): void => {
    if (this.#stopped) return
    this.stop()
    this.#onSinkFailed(error)
  }

  #unpause(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#connection.resume()
  }
}
