import { SandboxError } from '@caisson/protocol/errors'
import { isProgramId } from '../core/ids.ts'
import type { SandboxRecord } from '../core/records.ts'
import type { Guest, GuestExecution } from '../guest/guest.ts'
import type { Meter } from './metering.ts'
import type { RunningExecution } from './running-execution.ts'

/** Milliseconds that the agent may hold what has ended: the next start takes the news along for nothing. */
const FORGET_MS = 10

/** A sandbox that runs: its record as last written, the connection to its agent, and what goes on in it. */
export class Live {
  record: SandboxRecord
  readonly executions = new Map<string, RunningExecution>()
  /** False while the agent does not answer. */
  healthy = true
  /** Requests under way that are no executions; like executions they keep a sandbox from being idle. */
  #requests = 0
  /** Memory kills that were seen up to now; more than these may have hit the agent. */
  oomKills = 0
  /** When that was, by the monotonic clock. */
  oomKillsAt = Number.NEGATIVE_INFINITY
  /** Somebody is making the connection anew. */
  mending = false
  /** What of its use is stored already; made when it is first asked for. */
  meter: Promise<Meter> | null = null
  /** Milliseconds since the epoch; the server knows nothing of what was before. */
  readonly since = Date.now()
  #forgotten: GuestExecution[] = []
  #guest: Guest | null = null
  #connectedAt = 0
  #waiting = Promise.withResolvers<Guest>()

  constructor(record: SandboxRecord) {
    this.record = record
    this.#waiting.promise.catch(() => {})
  }

  get id(): string {
    return this.record.id
  }

  get requests(): number {
    return this.#requests
  }

  get busy(): boolean {
    if (this.#requests > 0) return true
    // What a sandbox runs from its start on is no activity.
    for (const id of this.executions.keys()) if (!isProgramId(id)) return true
    return false
  }

  /** Takes the record as another writer has left it; what is counted in memory is ahead of the store. */
  renew(stored: SandboxRecord): void {
    if (stored.version <= this.record.version) return
    const { lastActiveAt, executionCount } = this.record
    this.record = { ...stored, lastActiveAt, executionCount }
  }

  /** The connection, or, while it is being mended, the next one. @throws SandboxError `agent_lost` when the agent is known not to answer. */
  guest(): Promise<Guest> | Guest {
    if (this.#guest !== null) return this.#guest
    if (!this.healthy) throw this.lost('it has not answered for some time')
    return this.#waiting.promise
  }

  /** Whether there is a connection now. */
  get reached(): boolean {
    return this.#guest !== null
  }

  /** Milliseconds since the last connection was made. */
  get sinceConnected(): number {
    return performance.now() - this.#connectedAt
  }

  connected(guest: Guest): void {
    this.#guest = guest
    this.#connectedAt = performance.now()
    this.healthy = true
    this.#waiting.resolve(guest)
  }

  /** Gives the connection up, so that it is made anew. */
  drop(reason?: string): void {
    const guest = this.#guest
    if (guest === null) return
    this.disconnected(guest)
    guest.close(reason)
  }

  /** This connection broke; it may have been replaced by another one before. */
  disconnected(guest: Guest): void {
    if (this.#guest !== guest) return
    this.#guest = null
    this.#waiting = Promise.withResolvers()
    this.#waiting.promise.catch(() => {})
  }

  /** The agent does not answer: calls that wait and calls that come fail until it does. */
  unresponsive(reason: string): void {
    this.healthy = false
    this.#waiting.reject(this.lost(reason))
    this.#waiting = Promise.withResolvers()
    this.#waiting.promise.catch(() => {})
  }

  /** The sandbox has ended, or stopped: nothing waits for it any more. */
  ended(why: SandboxError): void {
    this.drop(why.message)
    this.#waiting.reject(why)
  }

  /** The ending is stored: the agent need not hold the execution any more. */
  forget(handle: GuestExecution): void {
    if (this.#forgotten.push(handle) === 1) setTimeout(() => this.tellForgotten(), FORGET_MS).unref()
  }

  tellForgotten(): void {
    for (const handle of this.#forgotten.splice(0)) handle.forget()
  }

  /** Counts a request as activity until the returned function is called. */
  begin(now: number): () => void {
    this.#requests++
    this.record.lastActiveAt = now
    return () => {
      this.#requests--
      this.record.lastActiveAt = Date.now()
    }
  }

  lost(reason: string): SandboxError {
    return new SandboxError('agent_lost', { sandbox: this.id, reason })
  }
}
