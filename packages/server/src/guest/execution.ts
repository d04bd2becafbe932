import { SandboxError } from '@caisson/protocol/errors'
import { encodeFrame, type Fields, FrameError, fields, parseFields } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType } from '@caisson/protocol/frames'
import { abortable } from './abort.ts'
import type { Connection, StreamHandler } from './connection.ts'
import { type Failure, readFailure, signalError } from './errors.ts'
import type { GuestExecution, GuestExit, OutputSink } from './guest.ts'
import { OutputFlow } from './output.ts'
import { signalName, signalNumber } from './signals.ts'
import { WindowSender } from './window.ts'

const SCOPES = { leader: 0, group: 1, tree: 2 } as const
const MAX_PID = 2 ** 31 - 1

/** One execution as one connection sees it. */
export class Execution implements GuestExecution, StreamHandler {
  readonly id: string
  readonly exited: Promise<GuestExit>
  readonly outputClosed: Promise<number>
  pid = 0
  readonly #connection: Connection
  readonly #stream: number
  readonly #output: OutputFlow
  readonly #stdin: WindowSender
  readonly #refused: (failure: Failure) => SandboxError
  readonly #started = Promise.withResolvers<void>()
  readonly #exited = Promise.withResolvers<GuestExit>()
  readonly #outputClosed = Promise.withResolvers<number>()
  /** Signals that wait for their answers, which come in order. */
  readonly #signals: PromiseWithResolvers<void>[] = []
  #hasExited = false
  #hasClosed = false
  /** Of the exit and the end of the output, those that are still to be told. */
  #open = 2

  /** @param refused makes the error of a request that the agent refuses. */
  constructor(
    connection: Connection,
    id: string,
    offset: number,
    sink: OutputSink,
    refused: (failure: Failure) => SandboxError,
  ) {
    this.id = id
    this.#connection = connection
    this.#refused = refused
    this.#stream = connection.open(this)
    this.#output = new OutputFlow(connection, this.#stream, offset, sink, (error) => this.#settle(error))
    this.#stdin = new WindowSender(connection, this.#stream, FrameType.STDIN, `writing to execution ${id}`)
    this.exited = this.#exited.promise
    this.outputClosed = this.#outputClosed.promise
    // Whoever does not wait for an ending must not be killed by its failure.
    this.exited.catch(() => {})
    this.outputClosed.catch(() => {})
  }

  /** Sends the START or ATTACH and waits for its answer. */
  async begin(type: FrameType, payload: Uint8Array, signal?: AbortSignal): Promise<this> {
    try {
      this.#connection.send(encodeFrame(type, this.#stream, payload))
      await abortable(this.#started.promise, `execution ${this.id}`, signal)
      return this
    } catch (error) {
      // An aborted start leaves no program behind; an aborted attach leaves the program alone.
      if (type === FrameType.START && SandboxError.is(error, 'aborted')) this.#abandon()
      else this.#connection.release(this.#stream, true)
      this.#output.stop()
      throw error
    }
  }

  receive(frame: Frame): void {
    const { payload } = frame
    if (this.pid === 0 && frame.type !== FrameType.STARTED && frame.type !== FrameType.ERROR)
      throw new FrameError(`A frame of type ${frame.type} came before the execution started`)
    switch (frame.type) {
      case FrameType.OUTPUT:
        this.#output.receive(frame)
        break
      case FrameType.ACK:
        this.#stdin.acknowledge(payload)
        break
      case FrameType.STARTED:
        this.#onStarted(parseFields(payload))
        break
      case FrameType.EXIT:
        this.#onExit(readExit(parseFields(payload)))
        break
      case FrameType.OUTPUT_CLOSED:
        this.#onOutputClosed(parseFields(payload).u64(Field.OFFSET) ?? -1)
        break
      case FrameType.OK:
        this.#nextSignal().resolve()
        break
      case FrameType.ERROR:
        this.#onError(readFailure(parseFields(payload)))
        break
      default:
        throw new FrameError(`A frame of type ${frame.type} does not belong to an execution`)
    }
  }

  lost(error: SandboxError<'agent_lost'>): void {
    this.#settle(error)
  }

  async writeStdin(data: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#stdin.send(data, signal)
  }

  closeStdin(): void {
    this.#stdin.after(() => this.#send(FrameType.STDIN_CLOSE))
  }

  async signal(name: string, scope: 'leader' | 'group' | 'tree', signal?: AbortSignal): Promise<void> {
    const payload = fields().u64(Field.SIGNAL, signalNumber(name)).u64(Field.SCOPE, SCOPES[scope]).encode()
    const answer = Promise.withResolvers<void>()
    answer.promise.catch(() => {})
    this.#signals.push(answer)
    this.#send(FrameType.SIGNAL, payload)
    await abortable(answer.promise, `signalling execution ${this.id}`, signal)
  }

  pace(offset: number | null): void {
    this.#output.pace(offset)
  }

  resize(cols: number, rows: number): void {
    this.#send(FrameType.RESIZE, fields().u64(Field.TTY_COLS, cols).u64(Field.TTY_ROWS, rows).encode())
  }

  forget(): void {
    this.#send(FrameType.FORGET)
    this.#connection.release(this.#stream, true)
    // Most executions are forgotten when all is told: an error that nobody gets need not be made.
    if (this.#open > 0 || this.#signals.length > 0) this.#settle(this.#endedError())
    else this.#output.stop()
  }

  #endedError(): SandboxError {
    return new SandboxError('execution_ended', { execution: this.id })
  }

  #send(type: FrameType, payload?: Uint8Array): void {
    this.#connection.send(encodeFrame(type, this.#stream, payload))
  }

  #abandon(): void {
    const kill = fields().u64(Field.SIGNAL, signalNumber('SIGKILL')).u64(Field.SCOPE, SCOPES.tree).encode()
    this.#send(FrameType.SIGNAL, kill)
    this.#send(FrameType.FORGET)
    this.#connection.release(this.#stream, true)
  }

  #onStarted(answer: Fields): void {
    const pid = answer.u64(Field.PID) ?? 0
    if (this.pid !== 0 || pid < 1 || pid > MAX_PID) throw new FrameError(`Process ${pid} cannot have started`)
    this.pid = pid
    this.#stdin.continueFrom(answer.u64(Field.OFFSET) ?? 0)
    this.#started.resolve()
  }

  /** The ending comes after the output that came before it. */
  #onExit(exit: GuestExit): void {
    if (this.#hasExited) throw new FrameError('An execution ended twice')
    this.#hasExited = true
    this.#stdin.fail(() => this.#endedError())
    this.#output.after(() => {
      this.#exited.resolve(exit)
      this.#open--
    })
  }

  #onOutputClosed(total: number): void {
    if (this.#hasClosed) throw new FrameError('The output was closed twice')
    this.#output.finish(total)
    this.#hasClosed = true
    this.#output.after(() => {
      this.#outputClosed.resolve(total)
      this.#open--
    })
  }

  #onError(failure: Failure): void {
    if (this.pid !== 0) this.#nextSignal().reject(signalError(this.id, failure))
    else this.#settle(this.#refused(failure))
  }

  #nextSignal(): PromiseWithResolvers<void> {
    const next = this.#signals.shift()
    if (next === undefined) throw new FrameError('An answer came that nobody asked for')
    return next
  }

  /** Everything that still waits fails. */
  #settle(error: unknown): void {
    this.#output.stop()
    this.#stdin.fail(() => error as Error)
    this.#started.reject(error)
    this.#exited.reject(error)
    this.#outputClosed.reject(error)
    for (const waiting of this.#signals.splice(0)) waiting.reject(error)
  }
}

/** @throws FrameError unless exactly one of a code and a signal is told. */
function readExit(ending: Fields): GuestExit {
  const code = ending.u64(Field.EXIT_CODE)
  const signal = ending.u64(Field.SIGNAL)
  const usage = {
    cpuUsec: ending.u64(Field.CPU_USEC) ?? 0,
    maxRssBytes: ending.u64(Field.MAX_RSS) ?? 0,
  }
  if (code !== undefined && signal === undefined && code <= 255) return { code, ...usage }
  const name = signal === undefined ? undefined : signalName(signal)
  if (code !== undefined || name === undefined)
    throw new FrameError('An ending is neither an exit code nor a signal')
  return { signal: name, ...usage }
}
