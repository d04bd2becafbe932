import { encodeAck, FrameError, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { FileStat } from './guest.ts'
import { Request } from './request.ts'
import { readStat } from './stat.ts'

const ACK_BYTES = LIMITS.WINDOW / 2
const DONE: IteratorResult<Uint8Array> = { done: true, value: undefined }

/**
 * Streams a file: `begin` answers with its stat, the iteration gives its bytes as fast as it is asked for them.
 * The signal of `begin` ends with its answer; from then on leaving the iteration is how to stop.
 */
export class ReadRequest
  extends Request<FileStat>
  implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array>
{
  readonly #waiting: PromiseWithResolvers<IteratorResult<Uint8Array>>[] = []
  #chunks: Uint8Array[] = []
  #answered = false
  #ended = false
  #failure: Error | null = null
  #received = 0
  #taken = 0
  #acknowledged = 0

  async next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) return this.#take(chunk)
    if (this.#failure !== null) throw this.#failure
    if (this.#ended) return DONE
    const waiting = Promise.withResolvers<IteratorResult<Uint8Array>>()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#chunks = []
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(DONE)
    this.cancel(new Error('The reader has left'))
    this.#failure = null
    this.#ended = true
    return DONE
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.OK && !this.#answered) this.#onOpened(readStat(parseFields(frame.payload)))
    else if (frame.type === FrameType.DATA && this.#answered) this.#onData(frame.payload)
    else if (frame.type === FrameType.END && this.#answered) this.#onEnd()
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    this.#failure = error
    if (!this.#answered) super.failed(error)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
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
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#chunks.push(chunk)
    else waiting.resolve(this.#take(chunk))
  }

  #onEnd(): void {
    this.#ended = true
    this.finish()
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(DONE)
  }

  /** What is handed out is acknowledged: at most a window waits here, and a chunk more is with the reader. */
  #take(chunk: Uint8Array): IteratorResult<Uint8Array> {
    this.#taken += chunk.length
    if (!this.#ended && this.#failure === null && this.#taken - this.#acknowledged >= ACK_BYTES) {
      this.#acknowledged = this.#taken
      this.connection.send(encodeAck(this.stream, this.#taken))
    }
    return { done: false, value: chunk }
  }
}
