import { AsyncLocalStorage } from 'node:async_hooks'

/** What needs a sandbox that runs. */
export type Need = 'exec' | 'file' | 'ssh' | 'port' | 'dial'

/** What a request is told beside its result, and tells of where it came from. */
export interface Noted {
  /** It has resumed a sandbox. */
  resumed: boolean
  /** Through which door it came, when that says more than what it needs. */
  by?: Need
}

const storage = new AsyncLocalStorage<Noted>()

/** Does the work of one request; what it does is noted in `noted`. */
export function noting<T>(noted: Noted, work: () => T): T {
  return storage.run(noted, work)
}

export function noteResumed(): void {
  const noted = storage.getStore()
  if (noted !== undefined) noted.resumed = true
}

/** The door of the request that is being served. */
export function doorOfRequest(): Need | undefined {
  return storage.getStore()?.by
}
