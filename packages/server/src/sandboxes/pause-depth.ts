import { SandboxError } from '@caisson/protocol/errors'
import type { PauseDepth } from '@caisson/protocol/resources'
import type { Context } from './context.ts'

/** @throws SandboxError `not_supported` with what this server lacks for a pause of this depth */
export function assertDepth({ driver, layers }: Pick<Context, 'driver' | 'layers'>, depth: PauseDepth): void {
  if (depth === 'memory' && driver.memory === undefined)
    throw lacking(depth, `the ${driver.name} driver cannot stop processes without ending them`)
  if (depth === 'workspace' && layers.keepOnly === undefined)
    throw lacking(depth, `the ${layers.name} storage cannot rebuild a sandbox around its workspace`)
}

function lacking(depth: PauseDepth, reason: string): SandboxError {
  return new SandboxError('not_supported', { what: `a pause of depth "${depth}"`, reason })
}
