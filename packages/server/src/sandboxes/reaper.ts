import { due, type Lease } from '../core/leases.ts'
import type { SandboxRecord } from '../core/records.ts'
import type { Context } from './context.ts'
import { endSandbox } from './end-sandbox.ts'
import { dumpDue, dumpNow } from './pausing/dump.ts'
import { pauseDue } from './pausing/pause-due.ts'

/** What did not succeed is tried again after so long, in ms. */
const RETRY_MS = 30_000

/** Something that is to be done to a sandbox at some time. */
interface Task {
  /** Milliseconds since the epoch. */
  at: number
  work(): Promise<unknown>
}

/** One timer for all leases and for memory that goes to disk, set to the earliest instant at which something is due. */
export class Reaper {
  readonly #context: Context
  /** Sandboxes with work under way, or that are left alone until then because it failed: milliseconds since the epoch. */
  readonly #until = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #scheduled = false

  constructor(context: Context) {
    this.#context = context
  }

  /** Called after every change that may move a lease; many calls in one turn cost one look. */
  readonly reschedule = (): void => {
    if (this.#scheduled || this.#context.stopping) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#look()
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #look(): void {
    clearTimeout(this.#timer)
    const now = Date.now()
    let next = Number.POSITIVE_INFINITY
    const consider = (id: string, task: Task | null) => {
      if (task === null) return
      const at = Math.max(task.at, this.#until.get(id) ?? 0)
      if (at <= now) void this.#do(id, task)
      else next = Math.min(next, at)
    }
    for (const { id, record, busy } of this.#context.live.values()) consider(id, this.#taskOf(record, busy))
    for (const [id, record] of this.#context.paused)
      consider(id, earlier(this.#taskOf(record, false), this.#dumpOf(record)))
    if (next === Number.POSITIVE_INFINITY || this.#context.stopping) return
    // setTimeout counts at most 2^31-1 ms; a later lease is looked at again then.
    this.#timer = setTimeout(() => this.#look(), Math.min(next - now, 2 ** 31 - 1)).unref()
  }

  #taskOf(record: SandboxRecord, busy: boolean): Task | null {
    const lease = leaseOf(record, busy)
    return lease && { at: lease.at, work: () => this.#follow(record, lease) }
  }

  async #follow(record: SandboxRecord, { action, reason }: Lease): Promise<void> {
    const context = this.#context
    if (action === 'pause' && reason !== 'paused-timeout') await pauseDue(context, record, reason)
    else if (reason !== 'session') await endSandbox(context, record, reason, this.#isDue)
  }

  /** A pause, a resume or a command may have come in between. */
  readonly #isDue = (record: SandboxRecord): boolean => {
    const lease = leaseOf(record, this.#context.live.get(record.id)?.busy ?? false)
    return lease !== null && lease.action === 'end' && lease.at <= Date.now()
  }

  #dumpOf(record: SandboxRecord): Task | null {
    const at = dumpDue(this.#context, record)
    return at === null ? null : { at, work: () => dumpNow(this.#context, record.id) }
  }

  async #do(id: string, { work }: Task): Promise<void> {
    this.#until.set(id, Number.POSITIVE_INFINITY)
    try {
      await work()
      this.#until.delete(id)
    } catch (err) {
      this.#until.set(id, Date.now() + RETRY_MS)
      this.#context.log.error({ sandbox: id, err }, 'what was due for a sandbox did not succeed')
    }
    this.reschedule()
  }
}

/** What serves one command cannot be paused. */
function leaseOf(record: SandboxRecord, busy: boolean): Lease | null {
  return due(record.mode === 'oneshot' ? { ...record, onTimeout: 'kill' } : record, busy)
}

function earlier(one: Task | null, other: Task | null): Task | null {
  if (one === null || other === null) return one ?? other
  return one.at <= other.at ? one : other
}
