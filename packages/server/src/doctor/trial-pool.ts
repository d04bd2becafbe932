import type { Ability, Launcher } from '../launcher/client.ts'
import { reason } from './check.ts'

/** The smallest that a pool can be. */
const TRIAL_BYTES = 256 * 1024 ** 2

/** Makes a pool in the trial's own directory, and tells what it can do. */
export async function tryPool(launcher: Launcher, signal: AbortSignal): Promise<Ability[]> {
  try {
    const { kind, quotas } = await launcher.pool.open(TRIAL_BYTES, signal)
    const detail = kind === 'file' ? 'a btrfs in a file that grows' : 'a directory of the operator’s btrfs'
    const limits = quotas ? 'by simple quotas' : `${detail} has no simple quotas`
    return [
      { name: 'pool', ok: true, detail },
      { name: 'disk-limits', ok: quotas, detail: limits },
    ]
  } catch (error) {
    return [{ name: 'pool', ok: false, detail: reason(error) }]
  }
}
