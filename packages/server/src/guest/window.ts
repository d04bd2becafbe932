import { encodeBulkHead, FrameError, parseBulk } from '@caisson/protocol/frame-codec'
import { type FrameType, LIMITS } from '@caisson/protocol/frames'
import { abortable } from './abort.ts'
import type { Connection } from './connection.ts'

/** Sends the bulk bytes of one stream, in order, with at most `LIMITS.WINDOW` of them unacknowledged. */
export class WindowSender {
  readonly #connection: Connection
  readonly #stream: number
  readonly #type: FrameType
  readonly #what: string
  #sent = 0
  #acknowledged = 0
  #failure: Error | null = null
  #room: PromiseWithResolvers<void> | null = null
  #tail: Promise<unknown> = Promise.resolve()

  /** @param what names the work in the error of an aborted send. */
  constructor(connection: Connection, stream: number, type: FrameType, what: string) {
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
    const work = this.#tail.then(() => this.#send(data, signal))
    this.#tail = work.catch(() => {})
    return work
  }

  /** Calls back when what was queued before is sent. */
  after(step: () => void): void {
    this.#tail = this.#tail.then(step)
  }

  /** Takes an ACK. @throws FrameError when it acknowledges what was not sent, or takes back. */
  acknowledge(payload: Uint8Array): void {
    const { offset, bytes } = parseBulk(payload)
    if (bytes.length > 0 || offset > this.#sent || offset < this.#acknowledged)
      throw new FrameError(`Offset ${offset} cannot be acknowledged`)
    this.#acknowledged = offset
    this.#wake()
  }

  /** Fails the sends that wait and those that come. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#wake()
  }

  async #send(data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    for (let at = 0; at < data.length; ) {
      let wait = this.#mustWait()
      while (wait !== undefined) {
        await abortable(wait, this.#what, signal)
        wait = this.#mustWait()
      }
      if (this.#failure !== null) throw this.#failure
      const free = LIMITS.WINDOW - (this.#sent - this.#acknowledged)
      const size = Math.min(data.length - at, free, LIMITS.MAX_CHUNK)
      const head = encodeBulkHead(this.#type, this.#stream, this.#sent, size)
      this.#connection.send(head, data.subarray(at, at + size))
      this.#sent += size
      at += size
    }
    if (this.#failure !== null) throw this.#failure
  }

  #mustWait(): Promise<void> | undefined {
    if (this.#failure !== null) return undefined
    if (this.#sent - this.#acknowledged < LIMITS.WINDOW) return this.#connection.drained()
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  #wake(): void {
    this.#room?.resolve()
    this.#room = null
  }
}
