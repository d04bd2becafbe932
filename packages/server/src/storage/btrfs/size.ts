import { stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '../../core/invalid.ts'
import { formatBytes, parseBytes } from '../../core/quantity.ts'

/** Of what is free for the pool where nobody says more. */
const SHARE = 0.8
/** Below this the file system itself has hardly any room. */
const LEAST = 256 * 1024 ** 2

/**
 * What the pool of a data directory may grow to, in bytes: as configured, or a share of what is free there, with its
 * own file counted as free.
 * @throws SandboxError `invalid_request` for what is no amount, or too small a one
 */
export async function poolSizeOf(dataDir: string, configured: string | null): Promise<number> {
  if (configured === null) return defaultSize(dataDir)
  const bytes = parseBytes(configured, 'poolSize')
  if (bytes >= LEAST) return bytes
  throw invalid('poolSize', `${configured} is less than the minimum of ${formatBytes(LEAST)}`)
}

async function defaultSize(dataDir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dataDir)
  const file = await stat(join(dataDir, 'pool.img')).catch(() => ({ blocks: 0, size: 0 }))
  // Blocks of 512 bytes, whatever the file system's are.
  const free = bavail * bsize + file.blocks * 512
  return Math.max(LEAST, file.size, Math.floor(free * SHARE))
}
