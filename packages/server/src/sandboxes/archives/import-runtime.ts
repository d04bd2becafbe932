import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'

/** Archives come next; until then they are refused. */
export async function importRuntime(
  _: Context,
  ..._args: Parameters<UseCases['importRuntime']>
): ReturnType<UseCases['importRuntime']> {
  throw new SandboxError('not_supported', { what: 'an image', reason: 'this version has none' })
}
