import { due } from '../core/leases.ts'
import type { Context } from './context.ts'
import { endSandbox } from './end-sandbox.ts'

/** One timer for all leases, set to the earliest instant at which a sandbox can be due. */
export class Reaper {
  readonly #context: Context
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
    for (const live of this.#context.live.values()) {
      const lease = due(live.record, live.busy)
      if (lease === null) continue
      if (lease.at <= now) this.#end(live.record, lease.reason)
      else next = Math.min(next, lease.at)
    }
    if (next === Number.POSITIVE_INFINITY || this.#context.stopping) return
    // setTimeout counts at most 2^31-1 ms; a later lease is looked at again then.
    this.#timer = setTimeout(() => this.#look(), Math.min(next - now, 2 ** 31 - 1)).unref()
  }

  #end(record: Parameters<typeof endSandbox>[1], reason: 'idle-timeout' | 'expired'): void {
    endSandbox(this.#context, record, reason).catch((err) =>
      this.#context.log.error({ sandbox: record.id, err }, 'a due sandbox could not be ended'),
    )
  }
}
