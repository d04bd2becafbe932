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
  /** The record with its ending, once it is stored. */
  readonly ended: Promise<ExecutionRecord>
  /** The kernel's count of memory kills in the sandbox when this began. */
  oomKillsBefore: Promise<number> | number = 0
  handle: GuestExecution | null = null
  readonly #outcome = Promise.withResolvers<Outcome>()
  readonly #outputClosed = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<ExecutionRecord>()

  constructor(record: ExecutionRecord, output: OutputWriter) {
    this.record = record
    this.output = output
    this.outcome = this.#outcome.promise
    this.outputClosed = this.#outputClosed.promise
    this.ended = this.#ended.promise
    this.ended.catch(() => {})
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
    this.handle = handle
    handle.exited.then(
      (exit) => this.#outcome.resolve({ exit }),
      () => this.#release(handle),
    )
    handle.outputClosed.then(
      () => this.#outputClosed.resolve(),
      () => this.#release(handle),
    )
  }

  #release(handle: GuestExecution): void {
    if (this.handle === handle) this.handle = null
  }

  /** The exit can never be known. */
  lose(ending: ExecutionEnding, message: string): void {
    this.#outcome.resolve({ ending, message })
    this.#outputClosed.resolve()
  }

  settle(record: ExecutionRecord): void {
    this.#ended.resolve(record)
  }

  fail(error: unknown): void {
    this.#ended.reject(error)
  }
}
