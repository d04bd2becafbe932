import { encodeBulkHead, FrameError, parseBulk } from '@caisson/protocol/frame-codec'
import { type FrameType, LIMITS } from '@caisson/protocol/frames'
import { abortable } from './abort.ts'
import type { Connection } from './connection.ts'

/** A piece is cut to fit the window, but not shorter than this: a frame costs more than it saves. */
const MIN_PIECE = 16 * 1024
const SENT = Promise.resolve()

/** Sends the bulk bytes of one stream, in order, with at most `LIMITS.WINDOW` of them unacknowledged. */
export class WindowSender {
  readonly #connection: Connection
  readonly #stream: number
  readonly #type: FrameType
  readonly #what: string
  #sent: number
  #acknowledged: number
  #failure: (() => Error) | null = null
  #room: PromiseWithResolvers<void> | null = null
  #tail: Promise<unknown> = Promise.resolve()
  /** Steps that have not been done. */
  #queued = 0

  /**
   * @param what names the work in the error of an aborted send.
   * @param from offset of the first byte.
   */
  constructor(connection: Connection, stream: number, type: FrameType, what: string, from = 0) {
    this.#sent = this.#acknowledged = from
    this.#connection = connection
    this.#stream = stream
    this.#type = type
    this.#what = what
  }

  /** Goes on from an offset that an earlier connection reached. */
  continueFrom(offset: number): void {
    this.#sent = offset
    // The agent holds at most a window, and tells at once when it has less to hold.
    this.#acknowledged = Math.max(0, offset - LIMITS.WINDOW)
  }

  /** Resolves when all of `data` is sent; it must not change until the agent has taken it. Calls queue. */
  send(data: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (this.#maySendNow(data.length)) {
      this.#put(data)
      return SENT
    }
    const work = this.#queue(() => this.#send(data, signal))
    this.#tail = work.catch(() => {})
    return work
  }

  /** Nothing is before it, and there is room for one frame of it. */
  #maySendNow(size: number): boolean {
    if (this.#queued > 0 || this.#failure !== null || size === 0 || size > LIMITS.MAX_CHUNK) return false
    const free = LIMITS.WINDOW - (this.#sent - this.#acknowledged)
    return size <= free && this.#connection.drained() === undefined
  }

  /** Calls back when what was queued before is sent. */
  after(step: () => void): void {
    this.#tail = this.#queue(step)
  }

  #queue(step: () => void | Promise<void>): Promise<void> {
    this.#queued++
    return this.#tail.then(step).finally(() => this.#queued--)
  }

  /** Takes an ACK. @throws FrameError when it acknowledges what was not sent, or takes back. */
  acknowledge(payload: Uint8Array): void {
    const { offset, bytes } = parseBulk(payload)
    if (bytes.length > 0 || offset > this.#sent || offset < this.#acknowledged)
      throw new FrameError(`Offset ${offset} cannot be acknowledged`)
    this.#acknowledged = offset
    this.#wake()
  }

  /** Fails the sends that wait and those that come. The error is made when one does: most streams end with none. */
  fail(error: () => Error): void {
    this.#failure ??= error
    this.#wake()
  }

  async #send(data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    for (let at = 0; at < data.length; ) {
      const wish = Math.min(data.length - at, LIMITS.MAX_CHUNK)
      let wait = this.#mustWait(wish)
      while (wait !== undefined) {
        await abortable(wait, this.#what, signal)
        wait = this.#mustWait(wish)
      }
      if (this.#failure !== null) throw this.#failure()
      const free = LIMITS.WINDOW - (this.#sent - this.#acknowledged)
      const size = Math.min(wish, free)
      this.#put(data.subarray(at, at + size))
      at += size
    }
    if (this.#failure !== null) throw this.#failure()
  }

  #put(bytes: Uint8Array): void {
    this.#connection.send(encodeBulkHead(this.#type, this.#stream, this.#sent, bytes.length), bytes)
    this.#sent += bytes.length
  }

  #mustWait(wish: number): Promise<void> | undefined {
    if (this.#failure !== null) return undefined
    const end = this.#sent + Math.min(wish, MIN_PIECE)
    if (end - this.#acknowledged <= LIMITS.WINDOW) return this.#connection.drained()
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  #wake(): void {
    this.#room?.resolve()
    this.#room = null
  }
}
