import type { SandboxRecord } from './records.ts'

/** When a sandbox is to be ended or paused, and why. */
export interface Lease {
  /** Milliseconds since the epoch; may have passed. */
  at: number
  reason: 'idle-timeout' | 'expired' | 'paused-timeout' | 'session'
  action: 'end' | 'pause'
}

type Leased = Pick<
  SandboxRecord,
  | 'state'
  | 'lastActiveAt'
  | 'idleTimeoutMs'
  | 'expiresAt'
  | 'onTimeout'
  | 'pause'
  | 'pausedTimeoutMs'
  | 'bootedAt'
  | 'pauseAfterMs'
>

/**
 * When a sandbox is due, as things are now; null: never. The idle time counts from `lastActiveAt` and only while
 * nothing runs; the end of life counts always, and waits while the sandbox is paused; a session's sandbox is paused
 * some time after its start, when nothing runs. A sandbox on its way somewhere has no lease.
 */
export function due(sandbox: Leased, busy: boolean): Lease | null {
  if (sandbox.state === 'paused') return pausedLease(sandbox)
  if (sandbox.state !== 'ready') return null
  const { expiresAt, idleTimeoutMs, lastActiveAt, bootedAt, pauseAfterMs } = sandbox
  const action = sandbox.onTimeout === 'pause' ? 'pause' : 'end'
  const leases: Lease[] = []
  if (expiresAt !== null) leases.push({ at: expiresAt, reason: 'expired', action })
  if (!busy && idleTimeoutMs !== null)
    leases.push({ at: lastActiveAt + idleTimeoutMs, reason: 'idle-timeout', action })
  if (!busy && bootedAt !== null && pauseAfterMs !== null)
    leases.push({ at: bootedAt + pauseAfterMs, reason: 'session', action: 'pause' })
  return leases.reduce<Lease | null>((first, lease) => (first && first.at <= lease.at ? first : lease), null)
}

function pausedLease({ pause, pausedTimeoutMs }: Leased): Lease | null {
  if (pause === null || pausedTimeoutMs === null) return null
  return { at: pause.since + pausedTimeoutMs, reason: 'paused-timeout', action: 'end' }
}
