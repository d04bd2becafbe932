import { encodeAck, FrameError, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { FileStat } from './guest.ts'
import { Handover } from './handover.ts'
import { Request } from './request.ts'
import { readStat } from './stat.ts'

const ACK_BYTES = LIMITS.WINDOW / 2

/**
 * Streams a file: `begin` answers with its stat, the iteration gives its bytes as fast as it is asked for them.
 * The signal of `begin` ends with its answer; from then on leaving the iteration is how to stop.
 */
export class ReadRequest
  extends Request<FileStat>
  implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array>
{
  readonly #handover = new Handover<Uint8Array>()
  #chunks: Uint8Array[] = []
  #answered = false
  #received = 0
  #taken = 0
  #acknowledged = 0

  async next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#chunks.shift()
    return chunk === undefined ? this.#handover.next() : { done: false, value: this.#take(chunk) }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#chunks = []
    this.#handover.end()
    this.cancel(new Error('The reader has left'))
    this.#handover.end()
    return { done: true, value: undefined }
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.OK && !this.#answered) this.#onOpened(readStat(parseFields(frame.payload)))
    else if (frame.type === FrameType.DATA && this.#answered) this.#onData(frame.payload)
    else if (frame.type === FrameType.END && this.#answered) this.#onEnd()
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    if (!this.#answered) super.failed(error)
    this.#handover.fail(error)
  }

  #onOpened(stat: FileStat): void {
    this.#answered = true
    this.answer(stat)
  }

  #onData(payload: Uint8Array): void {
    const { offset, bytes } = parseBulk(payload)
    if (offset !== this.#received || bytes.length === 0)
      throw new FrameError(`File data at offset ${offset} does not continue ${this.#received}`)
    this.#received += bytes.length
    if (this.#received - this.#acknowledged > LIMITS.WINDOW)
      throw new FrameError('File data came beyond the window')
    const chunk = Buffer.from(bytes)
    if (this.#handover.awaited) this.#handover.give(this.#take(chunk))
    else this.#chunks.push(chunk)
  }

  #onEnd(): void {
    this.finish()
    this.#handover.end()
  }

  /** What is handed out is acknowledged: at most a window waits here, and a chunk more is with the reader. */
  #take(chunk: Uint8Array): Uint8Array {
    this.#taken += chunk.length
    if (this.#handover.open && this.#taken - this.#acknowledged >= ACK_BYTES) {
      this.#acknowledged = this.#taken
      this.connection.send(encodeAck(this.stream, this.#taken))
    }
    return chunk
  }
}
