import { SandboxError } from '@caisson/protocol/errors'
import type { ExecutionEnding } from '@caisson/protocol/resources'
import type { ExecutionRecord } from '../core/records.ts'
import type { GuestExecution, GuestExit, OutputSink } from '../guest/guest.ts'
import type { OutputWriter } from '../state/output-log.ts'

/** How the watching of an execution ended: the agent told its exit, or it can not be told any more. */
export type Outcome = { exit: GuestExit } | { ending: ExecutionEnding; message: string }

/** An execution that has not ended. It outlives connections: `follow` is called again with every new one. */
export class RunningExecution {
  readonly record: ExecutionRecord
  readonly output: OutputWriter
  /** Ends when the leader has ended or is known to be lost. */
  readonly outcome: Promise<Outcome>
  /** Ends when no process holds the output open. */
  readonly outputClosed: Promise<void>
  /** The record with its ending. */
  readonly ended: Promise<ExecutionRecord>
  /** The kernel's count of memory kills in the sandbox when this began. */
  oomKillsBefore: Promise<number> | number = 0
  handle: GuestExecution | null = null
  readonly #outcome = Promise.withResolvers<Outcome>()
  readonly #outputClosed = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<ExecutionRecord>()
  #next = Promise.withResolvers<GuestExecution>()
  #over = false

  constructor(record: ExecutionRecord, output: OutputWriter) {
    this.record = record
    this.output = output
    this.outcome = this.#outcome.promise
    this.outputClosed = this.#outputClosed.promise
    this.ended = this.#ended.promise
    this.ended.catch(() => {})
    this.#next.promise.catch(() => {})
  }

  /** The connection's view of it; while the connection is being made anew, the next one's. @throws SandboxError `execution_ended` */
  async reach(): Promise<GuestExecution> {
    if (this.#over) throw this.#endedError()
    return this.handle ?? this.#next.promise
  }

  /** Where the agent's output goes. */
  sink(onOutput: () => void): OutputSink {
    return {
      write: (offset, stream, data) => {
        onOutput()
        return this.output.append(offset, stream, data)
      },
    }
  }

  /** Takes a connection's view of the execution; a broken connection is no outcome. */
  follow(handle: GuestExecution): void {
    this.#release(this.handle)
    this.handle = handle
    this.#next.resolve(handle)
    handle.exited.then(
      (exit) => this.#outcome.resolve({ exit }),
      () => this.#release(handle),
    )
    handle.outputClosed.then(
      (total) => {
        this.#missed(total)
        this.#outputClosed.resolve()
      },
      () => this.#release(handle),
    )
  }

  /** What an earlier server read and dropped is in no log, and the agent does not send it again. */
  #missed(total: number): void {
    if (total <= this.output.total) return
    this.output.total = total
    this.output.truncated = true
  }

  #release(handle: GuestExecution | null): void {
    if (handle === null || this.handle !== handle) return
    this.handle = null
    this.#next = Promise.withResolvers()
    this.#next.promise.catch(() => {})
  }

  /** The exit can never be known. */
  lose(ending: ExecutionEnding, message: string): void {
    this.#outcome.resolve({ ending, message })
    this.#outputClosed.resolve()
    this.#gone()
  }

  /** The ending is in `record`. */
  tell(): void {
    this.#gone()
    this.#ended.resolve(this.record)
  }

  /** The ending is also stored: the agent need not hold it any more. */
  settle(): void {
    this.handle?.forget()
    this.handle = null
    this.tell()
  }

  /** It was never started. */
  fail(error: unknown): void {
    this.#gone()
    this.#ended.reject(error)
  }

  #gone(): void {
    this.#over = true
    this.#next.reject(this.#endedError())
  }

  #endedError(): SandboxError {
    return new SandboxError('execution_ended', { execution: this.record.id })
  }
}
