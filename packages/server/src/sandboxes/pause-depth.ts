import { SandboxError } from '@caisson/protocol/errors'
import type { PauseDepth } from '@caisson/protocol/resources'
import type { SandboxRecord } from '../core/records.ts'
import { LAUNCHER_LIMITS } from '../launcher/protocol.ts'
import { lowersOf } from '../storage/roots.ts'
import type { Context } from './context.ts'
import { imageOf } from './roots.ts'

/** @throws SandboxError `not_supported` with what this server lacks for a pause of this depth */
export function assertDepth({ driver, layers }: Pick<Context, 'driver' | 'layers'>, depth: PauseDepth): void {
  if (depth === 'memory' && driver.memory === undefined)
    throw lacking(depth, `the ${driver.name} driver cannot stop processes without ending them`)
  if (depth === 'workspace' && layers.keepOnly === undefined)
    throw lacking(depth, `the ${layers.name} storage cannot rebuild a sandbox around its workspace`)
}

/**
 * A pause of depth `workspace` puts what the sandbox began as beneath its files; it could never be resumed on more than
 * can lie there.
 * @throws SandboxError `not_supported`
 */
export async function assertRoomBeneath(context: Context, record: SandboxRecord): Promise<void> {
  const { base, layers } = record
  if (base === null) return
  const beneath = lowersOf({ image: await imageOf(context, record), layers: [base, ...layers] }).length
  if (beneath <= LAUNCHER_LIMITS.MAX_LOWERS) return
  const most = LAUNCHER_LIMITS.MAX_LOWERS
  const reason = `its files lie on ${beneath} saved ones, and at most ${most} can lie on one another; pause it to its filesystem`
  throw lacking('workspace', reason)
}

function lacking(depth: PauseDepth, reason: string): SandboxError {
  return new SandboxError('not_supported', { what: `a pause of depth "${depth}"`, reason })
}
