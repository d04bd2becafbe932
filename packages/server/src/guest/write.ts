import { encodeFrame, parseFields } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType } from '@caisson/protocol/frames'
import type { FileStat } from './guest.ts'
import { Request } from './request.ts'
import { readStat } from './stat.ts'
import { WindowSender } from './window.ts'

/** Replaces a file: the agent says it is ready, takes the bytes, and answers once they are in place. */
export class WriteRequest extends Request<FileStat> {
  readonly #ready = Promise.withResolvers<void>()
  #sender: WindowSender | null = null
  #isReady = false
  #isSent = false

  /** Sends the contents; resolves when all is sent. `begin`'s promise tells the success. */
  async send(data: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    await this.#ready.promise
    const sender = this.#sender as WindowSender
    if (data instanceof Uint8Array) await sender.send(data)
    else for await (const chunk of data) await sender.send(chunk)
    this.#isSent = true
    this.connection.send(encodeFrame(FrameType.END, this.stream))
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.ACK && this.#sender !== null) this.#sender.acknowledge(frame.payload)
    else if (frame.type === FrameType.OK && !this.#isReady) this.#onReady()
    else if (frame.type === FrameType.OK && this.#isSent)
      this.#onWritten(readStat(parseFields(frame.payload)))
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    this.#ready.promise.catch(() => {})
    this.#ready.reject(error)
    this.#sender?.fail(error)
    super.failed(error)
  }

  #onReady(): void {
    this.#isReady = true
    this.#sender = new WindowSender(
      this.connection,
      this.stream,
      FrameType.DATA,
      `writing ${this.context.path}`,
    )
    this.#ready.resolve()
  }

  #onWritten(stat: FileStat): void {
    this.finish()
    this.answer(stat)
  }
}
