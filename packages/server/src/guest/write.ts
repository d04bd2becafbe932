import { encodeFrame, type Fields, parseFields } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'
import type { FileContext } from './errors.ts'
import { Request, type Slots } from './request.ts'
import { WindowSender } from './window.ts'

/** Replaces a file: the agent says it is ready, takes the bytes, and answers once they are in place. */
export class WriteRequest<T> extends Request<T> {
  readonly #read: (answer: Fields, end: number) => T
  #end: number
  readonly #ready = Promise.withResolvers<void>()
  #sender: WindowSender | null = null
  #isReady = false
  #isSent = false

  /**
   * @param read makes the result of the last answer; what it refuses is a breach of the protocol.
   * @param from offset in the file of what is sent.
   */
  constructor(
    connection: Connection,
    slots: Slots,
    context: FileContext,
    read: (answer: Fields, end: number) => T,
    from = 0,
  ) {
    super(connection, slots, context)
    this.#read = read
    this.#end = from
  }

  /** Sends the contents; resolves when all is sent. `begin`'s promise tells the success. */
  async send(data: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    await this.#ready.promise
    const sender = this.#sender as WindowSender
    for await (const chunk of data instanceof Uint8Array ? [data] : data) {
      await sender.send(chunk)
      this.#end += chunk.length
    }
    this.#isSent = true
    this.connection.send(encodeFrame(FrameType.END, this.stream))
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.ACK && this.#sender !== null) this.#sender.acknowledge(frame.payload)
    else if (frame.type === FrameType.OK && !this.#isReady) this.#onReady()
    else if (frame.type === FrameType.OK && this.#isSent)
      this.#onWritten(this.#read(parseFields(frame.payload), this.#end))
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    this.#ready.promise.catch(() => {})
    this.#ready.reject(error)
    this.#sender?.fail(() => error)
    super.failed(error)
  }

  #onReady(): void {
    this.#isReady = true
    this.#sender = new WindowSender(
      this.connection,
      this.stream,
      FrameType.DATA,
      `writing ${this.context.path}`,
      this.#end,
    )
    this.#ready.resolve()
  }

  #onWritten(result: T): void {
    this.finish()
    this.answer(result)
  }
}
