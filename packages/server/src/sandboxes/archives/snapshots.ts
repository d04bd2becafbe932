import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from '../context.ts'
import { findSnapshot } from '../saved/find-snapshot.ts'
import { measureLater } from '../saved/measure.ts'
import { showSnapshot } from '../saved/show.ts'
import type { UseCases } from '../use-cases.ts'
import { endingWith } from './ending-with.ts'
import { exportSnapshot } from './export-snapshot.ts'
import { importSnapshot } from './import-snapshot.ts'

const MAX_PUBLIC = 4

/** Snapshots as files, for other servers and for keeping. */
export function snapshotArchiveUseCases(
  context: Context,
): Pick<UseCases, 'exportSnapshot' | 'exportPublicSnapshot' | 'importSnapshot'> {
  return {
    exportSnapshot: async (reference, signal) =>
      exportSnapshot(context, await findSnapshot(context, reference), signal),
    exportPublicSnapshot: (reference, signal) => exportPublic(context, reference, signal),
    importSnapshot: async (query, data, signal) => {
      const snapshot = await importSnapshot(context, query, data, signal)
      context.failpoint('snapshot:recorded')
      measureLater(context, snapshot)
      return showSnapshot(context, snapshot)
    },
  }
}

const publicExports = new WeakMap<Context, number>()

/** So many at a time: nobody who asks has a key, and each takes a sandbox. */
async function exportPublic(context: Context, reference: string, signal?: AbortSignal) {
  const snapshot = await findPublic(context, reference)
  const count = (by: number) => publicExports.set(context, (publicExports.get(context) ?? 0) + by)
  if ((publicExports.get(context) ?? 0) >= MAX_PUBLIC)
    throw new SandboxError('too_many', { what: 'downloads of public snapshots', limit: MAX_PUBLIC })
  count(1)
  try {
    return endingWith(await exportSnapshot(context, snapshot, signal), async () => void count(-1), signal)
  } catch (error) {
    count(-1)
    throw error
  }
}

/** One that is not public looks as if it did not exist, and so does a reference that means several. */
async function findPublic(context: Context, reference: string) {
  const found = await findSnapshot(context, reference).catch((error) => {
    if (SandboxError.is(error, 'snapshot_ambiguous')) return null
    throw error
  })
  if (found?.public !== true) throw new SandboxError('snapshot_not_found', { snapshot: reference })
  return found
}
