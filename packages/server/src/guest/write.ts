import { encodeFrame, type Fields, parseFields } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType } from '@caisson/protocol/frames'
import type { FileStat } from './guest.ts'
import { Request } from './request.ts'
import { readStat } from './stat.ts'
import { WindowSender } from './window.ts'

export interface Written {
  stat: FileStat
  created: string[]
}

/** Replaces a file: the agent says it is ready, takes the bytes, and answers once they are in place. */
export class WriteRequest extends Request<Written> {
  readonly #ready = Promise.withResolvers<void>()
  #sender: WindowSender | null = null
  #isReady = false
  #isSent = false
  readonly #created: string[] = []

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
    else if (frame.type === FrameType.OK && this.#isReady === this.#isSent)
      this.#onOk(parseFields(frame.payload))
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    this.#ready.promise.catch(() => {})
    this.#ready.reject(error)
    this.#sender?.fail(error)
    super.failed(error)
  }

  #onOk(answer: Fields): void {
    this.#created.push(...answer.strings(Field.CREATED))
    if (this.#isReady) this.#onWritten(answer)
    else this.#onReady()
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

  #onWritten(answer: Fields): void {
    const stat = readStat(answer)
    this.finish()
    this.answer({ stat, created: this.#created })
  }
}
