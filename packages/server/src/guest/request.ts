import { SandboxError } from '@caisson/protocol/errors'
import { encodeFrame, type Fields, FrameError, parseFields } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import { aborted } from './abort.ts'
import type { Connection, StreamHandler } from './connection.ts'
import { type Failure, type FileContext, fileError, readFailure } from './errors.ts'

/** Counts the requests of a connection, which the agent bounds. */
export interface Slots {
  used: number
}

/** Requests that stay for long leave so many slots to those that do not. */
export const RESERVED_SLOTS = 64

/** A request on its own stream, from `begin` until it has succeeded, failed or been given up. */
export abstract class Request<T> implements StreamHandler {
  protected readonly connection: Connection
  protected readonly context: FileContext
  readonly #slots: Slots
  readonly #result = Promise.withResolvers<T>()
  #stream = 0
  #open = false
  #signal: AbortSignal | undefined

  constructor(connection: Connection, slots: Slots, context: FileContext) {
    this.connection = connection
    this.context = context
    this.#slots = slots
  }

  /** Sends the request. @param signal gives it up, for as long as `begin` waits. */
  begin(type: FrameType, payload: Uint8Array, signal?: AbortSignal): Promise<T> {
    const what = `a request for ${this.context.path}`
    if (signal?.aborted) throw aborted(what, signal)
    if (this.#slots.used >= this.limit)
      throw new SandboxError('too_many', { what: 'requests to this sandbox', limit: this.limit })
    const frame = encodeFrame(type, 0, payload)
    this.#stream = this.connection.open(this)
    new DataView(frame.buffer, frame.byteOffset).setUint32(4, this.#stream, true)
    this.#open = true
    this.#slots.used++
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
    this.connection.send(frame)
    return this.#result.promise
  }

  receive(frame: Frame): void {
    if (frame.type === FrameType.ERROR) this.#onError(frame)
    else this.take(frame)
  }

  lost(error: SandboxError<'agent_lost'>): void {
    this.#end(false)
    this.failed(error)
  }

  /** Gives the request up; the agent removes what it has half done. */
  cancel(error: Error): void {
    if (!this.#open) return
    this.connection.send(encodeFrame(FrameType.CANCEL, this.#stream))
    this.#end(true)
    this.failed(error)
  }

  protected get stream(): number {
    return this.#stream
  }

  /** How many requests may be under way before this one is refused. */
  protected get limit(): number {
    return LIMITS.MAX_REQUESTS
  }

  /** Takes every frame but ERROR. */
  protected abstract take(frame: Frame): void

  /** The request is over by an error; the stream is released. */
  protected failed(error: Error): void {
    this.#result.reject(error)
  }

  /** The error of a request that the agent refuses. @throws FrameError when its fields cannot be. */
  protected refused(_answer: Fields, failure: Failure): Error {
    return fileError(this.context, failure)
  }

  /** Answers `begin`; the stream stays open until `finish`. */
  protected answer(value: T): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#signal = undefined
    this.#result.resolve(value)
  }

  /** Answers `begin`, whose signal gives the request up all the same. */
  protected answerAndGoOn(value: T): void {
    this.#result.resolve(value)
  }

  /** The request is over. @param late the agent may have sent more before it knew. */
  protected finish(late = false): void {
    this.#end(late)
  }

  protected unexpected(frame: Frame): never {
    throw new FrameError(`A frame of type ${frame.type} does not answer this request`)
  }

  #onError(frame: Frame): void {
    const answer = parseFields(frame.payload)
    const error = this.refused(answer, readFailure(answer))
    this.#end(false)
    this.failed(error)
  }

  #end(late: boolean): void {
    if (!this.#open) return
    this.#open = false
    this.#slots.used--
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.connection.release(this.#stream, late)
  }

  #onAbort = (): void => {
    this.cancel(aborted(`a request for ${this.context.path}`, this.#signal as AbortSignal))
  }
}

/** A request that is answered by one OK. */
export class SimpleRequest<T> extends Request<T> {
  readonly #read: (answer: Fields) => T

  /** @param read makes the result of the answer; what it refuses is a breach of the protocol. */
  constructor(connection: Connection, slots: Slots, context: FileContext, read: (answer: Fields) => T) {
    super(connection, slots, context)
    this.#read = read
  }

  protected override take(frame: Frame): void {
    if (frame.type !== FrameType.OK) this.unexpected(frame)
    const result = this.#read(parseFields(frame.payload))
    this.finish()
    this.answer(result)
  }
}
