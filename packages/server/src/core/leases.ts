import type { SandboxRecord } from './records.ts'

/** When a sandbox is to be ended, and why. */
export interface Lease {
  /** Milliseconds since the epoch; may have passed. */
  at: number
  reason: 'idle-timeout' | 'expired'
}

type Leased = Pick<SandboxRecord, 'state' | 'lastActiveAt' | 'idleTimeoutMs' | 'expiresAt'>

/**
 * When a sandbox is due, as things are now; null: never. The idle time counts from `lastActiveAt` and only while
 * nothing runs; the end of life counts always. A sandbox that is not ready has no lease: its create or end is under way.
 */
export function due(sandbox: Leased, busy: boolean): Lease | null {
  if (sandbox.state !== 'ready') return null
  const { expiresAt, idleTimeoutMs, lastActiveAt } = sandbox
  const expiry: Lease | null = expiresAt === null ? null : { at: expiresAt, reason: 'expired' }
  if (busy || idleTimeoutMs === null) return expiry
  const idle: Lease = { at: lastActiveAt + idleTimeoutMs, reason: 'idle-timeout' }
  return expiry !== null && expiry.at <= idle.at ? expiry : idle
}
