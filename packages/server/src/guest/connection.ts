import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { FrameError, FrameParser } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import { mustGiveWay } from '../give-way.ts'

/** Takes the frames of one stream. */
export interface StreamHandler {
  /**
   * What a frame carries is only valid during the call.
   * @throws FrameError when the agent breaks the protocol; the connection is then closed.
   */
  receive(frame: Frame): void
  /** The connection is gone; nothing more will come. */
  lost(error: SandboxError<'agent_lost'>): void
}

/** What may still be under way from the agent when the host gives a stream up, by the measure of `strayCost`. */
const LATE_ALLOWANCE = 2 * LIMITS.WINDOW
/** However many streams were given up, never more than this is tolerated. */
const MAX_LATE_ALLOWANCE = 256 * LATE_ALLOWANCE
const CONTROL_COST = 64
/** While others wait, a connection rests for so many ms after so many bytes. */
const REST_MS = 1
const REST_AFTER = 256 * 1024
/** What was sent may take so long to leave when the connection is given up, in ms. */
const FLUSH_MS = 1000

/**
 * Frames over one channel, sorted to the handlers of their streams. What is sent in one turn of the event loop
 * leaves in one write. The first breach of the protocol by the agent ends the connection and fails every stream.
 */
export class Connection {
  readonly sandbox: string
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  readonly #channel: Duplex
  readonly #parser = new FrameParser()
  readonly #streams = new Map<number, StreamHandler>()
  readonly #closed = Promise.withResolvers<void>()
  #failure: SandboxError<'agent_lost'> | null = null
  #lastStream = 0
  #lateAllowance = 0
  #holds = 0
  /** Bytes since the last rest was due. */
  #moved = 0
  #corked = false
  #drained: PromiseWithResolvers<void> | null = null

  constructor(channel: Duplex, sandbox: string, greeter: StreamHandler) {
    this.#channel = channel
    this.sandbox = sandbox
    this.closed = this.#closed.promise
    this.#streams.set(0, greeter)
    channel.on('data', this.#onData)
    channel.on('drain', this.#onDrain)
    channel.on('error', (error) => this.fail(error.message, error))
    channel.on('end', () => this.fail('the connection was closed by the sandbox'))
    channel.on('close', () => this.fail('the connection broke'))
    channel.resume()
  }

  /** Gives a new request its stream. @throws SandboxError `agent_lost` when the connection is gone. */
  open(handler: StreamHandler): number {
    if (this.#failure !== null) throw this.#failure
    do this.#lastStream = this.#lastStream === 0xffff_ffff ? 1 : this.#lastStream + 1
    while (this.#streams.has(this.#lastStream))
    this.#streams.set(this.#lastStream, handler)
    return this.#lastStream
  }

  /** Ends a stream. `late`: the agent does not know yet and may send more, which is dropped. */
  release(stream: number, late: boolean): void {
    if (!this.#streams.delete(stream) || !late) return
    this.#lateAllowance = Math.min(this.#lateAllowance + LATE_ALLOWANCE, MAX_LATE_ALLOWANCE)
  }

  /** Sends a frame, for a bulk frame its head and its bytes; nothing once the connection is gone. */
  send(frame: Uint8Array, bytes?: Uint8Array): void {
    if (this.#failure !== null) return
    if (!this.#corked) {
      this.#corked = true
      this.#channel.cork()
      process.nextTick(this.#uncork)
    }
    this.#channel.write(frame)
    if (bytes !== undefined) this.#channel.write(bytes)
  }

  /** Senders of bulk wait for this, so that what the agent does not read stays out of memory. Undefined: go on. */
  drained(): Promise<void> | undefined {
    if (!this.#channel.writableNeedDrain) return undefined
    this.#drained ??= Promise.withResolvers()
    return this.#drained.promise
  }

  /** Stops reading until as many `resume` as `pause` have been called. */
  pause(): void {
    if (this.#holds++ === 0) this.#channel.pause()
  }

  resume(): void {
    if (--this.#holds === 0 && this.#failure === null) this.#channel.resume()
  }

  /** Ends the connection and fails every stream with `agent_lost`; only the first call counts. */
  fail(reason: string, cause?: unknown): void {
    if (this.#failure !== null) return
    this.#lose(new SandboxError('agent_lost', { sandbox: this.sandbox, reason }, { cause }))
    this.#channel.destroy()
  }

  /** The same, but what was sent before still gets to the agent, if it takes it in time. */
  finish(reason: string): void {
    if (this.#failure !== null) return
    const channel = this.#channel
    this.#lose(new SandboxError('agent_lost', { sandbox: this.sandbox, reason }))
    const timer = setTimeout(() => channel.destroy(), FLUSH_MS).unref()
    channel.once('close', () => clearTimeout(timer))
    channel.end(() => channel.destroy())
  }

  #lose(failure: SandboxError<'agent_lost'>): void {
    this.#failure = failure
    this.#onDrain()
    for (const handler of this.#streams.values()) handler.lost(failure)
    this.#streams.clear()
    this.#closed.resolve()
  }

  #onData = (chunk: Uint8Array): void => {
    try {
      for (const frame of this.#parser.push(chunk)) {
        if (this.#failure !== null) return
        const handler = this.#streams.get(frame.stream)
        if (handler === undefined) this.#stray(frame)
        else handler.receive(frame)
      }
      this.#parser.release()
      this.#giveWay(chunk.length)
    } catch (error) {
      const broken = error instanceof FrameError
      this.fail(
        broken ? `it broke the protocol: ${error.message}` : 'its message could not be handled',
        error,
      )
    }
  }

  #giveWay(bytes: number): void {
    this.#moved += bytes
    if (this.#moved < REST_AFTER) return
    this.#moved = 0
    if (!mustGiveWay()) return
    this.pause()
    setTimeout(() => this.resume(), REST_MS)
  }

  /** A frame for no stream is late at best: as much is tolerated as can have been under way, and no more. */
  #stray(frame: Frame): void {
    this.#lateAllowance -= strayCost(frame)
    if (this.#lateAllowance < 0) throw new FrameError(`A frame of type ${frame.type} belongs to no stream`)
  }

  #onDrain = (): void => {
    this.#drained?.resolve()
    this.#drained = null
  }

  #uncork = (): void => {
    this.#corked = false
    this.#channel.uncork()
  }
}

function isBulk(frame: Frame): boolean {
  return frame.type === FrameType.OUTPUT || frame.type === FrameType.DATA
}

function strayCost(frame: Frame): number {
  return isBulk(frame) ? Math.max(1, frame.payload.length - 8) : CONTROL_COST
}
