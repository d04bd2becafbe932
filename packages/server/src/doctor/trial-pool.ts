import { statfs } from 'node:fs/promises'
import type { Ability, Launcher } from '../launcher/client.ts'
import { reason } from './check.ts'

const BTRFS_MAGIC = 0x9123683e
/** The smallest that a pool can be. */
const TRIAL_BYTES = 256 * 1024 ** 2

/** Makes a pool in the trial's own directory. An operator's own btrfs is not touched: its settings would stay. */
export async function tryPool(launcher: Launcher, dataDir: string, signal: AbortSignal): Promise<Ability> {
  const name = 'pool'
  const { type } = await statfs(dataDir)
  if (type === BTRFS_MAGIC) return { name, ok: true, detail: 'a directory of the data directory’s own btrfs' }
  try {
    const { quotas } = await launcher.pool.open(TRIAL_BYTES, signal)
    const limits = quotas ? 'disk limits are enforced' : 'there are no disk limits'
    return { name, ok: true, detail: `a btrfs in a file that grows; ${limits}` }
  } catch (error) {
    return { name, ok: false, detail: reason(error) }
  }
}
