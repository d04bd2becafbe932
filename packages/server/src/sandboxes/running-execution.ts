import { SandboxError } from '@caisson/protocol/errors'
import type { ExecutionEnding } from '@caisson/protocol/resources'
import type { ExecutionRecord } from '../core/records.ts'
import type { GuestExecution, GuestExit, OutputSink } from '../guest/guest.ts'
import type { OutputWriter } from '../state/output-log.ts'

/** How the watching of an execution ended: the agent told its exit, or it can not be told any more. */
export type Outcome = { exit: GuestExit } | { ending: ExecutionEnding; message: string }

/** Time that can stand still. `go` counts on from what its record says. */
export interface Deadline {
  go(): void
  stop(): void
}

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
  /** What ends it when its time is over; null: nothing does. */
  deadline: Deadline | null = null
  readonly #outcome = Promise.withResolvers<Outcome>()
  readonly #outputClosed = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<ExecutionRecord>()
  #next = Promise.withResolvers<GuestExecution>()
  #waiting = true
  #over = false
  /** How far each reader that is waited for lets the program come. */
  readonly #paces = new Map<object, number>()
  #hasExited = false
  #ends: Promise<unknown> = Promise.resolve()

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
        return this.#over ? undefined : this.output.append(offset, stream, data)
      },
    }
  }

  /** Takes a connection's view of the execution; a broken connection is no outcome. */
  follow(handle: GuestExecution): void {
    this.#release(this.handle)
    this.handle = handle
    this.#waiting = false
    this.#next.resolve(handle)
    handle.pace(this.#pace())
    handle.exited.then(
      (exit) => {
        // What is left in its pipes is little, and belongs to the ending.
        this.#paces.clear()
        this.handle?.pace(null)
        this.#hasExited = true
        this.#outcome.resolve({ exit })
      },
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

  /** Lets the program come as far as `offset` and wait there for this reader, the slowest of all; null: not for this one. */
  pace(reader: object, offset: number | null): void {
    if (this.#hasExited) return
    if (offset === null) this.#paces.delete(reader)
    else this.#paces.set(reader, offset)
    this.handle?.pace(this.#pace())
  }

  #pace(): number | null {
    return this.#paces.size === 0 ? null : Math.min(...this.#paces.values())
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
    this.#waiting = true
    this.#next = Promise.withResolvers()
    this.#next.promise.catch(() => {})
  }

  /** The exit can never be known. */
  lose(ending: ExecutionEnding, message: string): void {
    this.#outcome.resolve({ ending, message })
    this.#outputClosed.resolve()
    this.#gone()
  }

  /** The agent is to hold it until this is over. */
  hold(work: Promise<unknown>): void {
    this.#ends = Promise.allSettled([this.#ends, work])
  }

  /** Resolves when nothing holds it. */
  get released(): Promise<unknown> {
    return this.#ends
  }

  /** The ending is in `record`. */
  tell(): void {
    this.#gone()
    this.#ended.resolve(this.record)
  }

  /** The ending is also stored. @returns the connection's view of it, which is to be forgotten. */
  settle(): GuestExecution | null {
    const { handle } = this
    this.handle = null
    this.tell()
    return handle
  }

  /** It was never started. */
  fail(error: unknown): void {
    this.#gone()
    this.#ended.reject(error)
  }

  #gone(): void {
    if (this.#over) return
    this.#over = true
    // Only who waits for the next connection needs to hear of it.
    if (this.#waiting) this.#next.reject(this.#endedError())
  }

  #endedError(): SandboxError {
    return new SandboxError('execution_ended', { execution: this.record.id })
  }
}
