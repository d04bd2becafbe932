import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'

/** Archives come next; until then they are refused. */
export function snapshotArchiveUseCases(
  _: Context,
): Pick<UseCases, 'exportSnapshot' | 'exportPublicSnapshot' | 'importSnapshot'> {
  const no = async () => {
    throw new SandboxError('not_supported', { what: 'an archive', reason: 'this version has none' })
  }
  return { exportSnapshot: no, exportPublicSnapshot: no, importSnapshot: no }
}
