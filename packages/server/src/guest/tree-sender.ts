import { encodeBulkHead, encodeFrame, FrameError } from '@caisson/protocol/frame-codec'
import { FrameType, LIMITS } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'

/** Small frames are packed into buffers of this size, … */
const PACK_SIZE = 64 * 1024
/** … and contents up to this size are copied there; larger ones leave as they are. */
const MAX_COPIED = 16 * 1024

/**
 * Sends the entries of a tree with at most `LIMITS.WINDOW` bytes of entries and contents unacknowledged. Frames are
 * collected until the window or the buffer is full, so that a thousand small files are a handful of writes.
 */
export class TreeSender {
  readonly #connection: Connection
  readonly #stream: number
  readonly #pack = new Uint8Array(PACK_SIZE)
  #packed = 0
  #flushing: NodeJS.Immediate | undefined
  #sent = 0
  #acknowledged = 0
  #failure: Error | null = null
  #room: PromiseWithResolvers<void> | null = null

  constructor(connection: Connection, stream: number) {
    this.#connection = connection
    this.#stream = stream
  }

  /** Sends the payload of an ENTRY. */
  async entry(payload: Uint8Array): Promise<void> {
    await this.#wait(payload.length)
    this.#put(encodeFrame(FrameType.ENTRY, this.#stream, payload))
    this.#sent += payload.length
  }

  /** Sends contents of the entry; they must not change until the agent has taken them. */
  async data(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const wish = Math.min(bytes.length - at, LIMITS.MAX_CHUNK)
      // A small piece waits for room rather than be cut: a frame costs more than it saves.
      await this.#wait(Math.min(wish, MAX_COPIED))
      const size = Math.min(wish, LIMITS.WINDOW - (this.#sent - this.#acknowledged))
      this.#putData(bytes.subarray(at, at + size))
      at += size
    }
  }

  /** Sends what is packed. */
  flush(): void {
    clearImmediate(this.#flushing)
    this.#flushing = undefined
    if (this.#packed === 0 || this.#failure !== null) return
    // What is sent belongs to the channel until it is written.
    this.#connection.send(this.#pack.slice(0, this.#packed))
    this.#packed = 0
  }

  /** Takes an ACK. @throws FrameError when it acknowledges what was not sent, or takes back. */
  acknowledge(offset: number): void {
    if (offset > this.#sent || offset < this.#acknowledged)
      throw new FrameError(`Offset ${offset} cannot be acknowledged`)
    this.#acknowledged = offset
    this.#wake()
  }

  /** Fails what waits and what comes. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#wake()
  }

  #putData(bytes: Uint8Array): void {
    const head = encodeBulkHead(FrameType.DATA, this.#stream, this.#sent, bytes.length)
    if (bytes.length <= MAX_COPIED) {
      this.#put(head)
      this.#put(bytes)
    } else {
      this.flush()
      this.#connection.send(head, bytes)
    }
    this.#sent += bytes.length
  }

  #put(bytes: Uint8Array): void {
    if (this.#packed + bytes.length > PACK_SIZE) this.flush()
    this.#pack.set(bytes, this.#packed)
    this.#packed += bytes.length
    // While the source of the entries keeps us waiting, the agent can work.
    this.#flushing ??= setImmediate(() => this.flush())
  }

  /** Waits until the window has room for so many bytes and the channel takes them. */
  async #wait(size: number): Promise<void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure
      const isFull = this.#sent + size - this.#acknowledged > LIMITS.WINDOW
      const drained = isFull ? undefined : this.#connection.drained()
      if (!isFull && drained === undefined) return
      this.flush()
      this.#room ??= Promise.withResolvers()
      await (drained ?? this.#room.promise)
    }
  }

  #wake(): void {
    this.#room?.resolve()
    this.#room = null
  }
}
