import { parseDuration } from '../../core/duration.ts'
import type { Context } from '../context.ts'
import { purgeBuildFiles } from './build-files.ts'

/** Builds that an earlier server had begun are over: what they had made goes with their sandboxes. */
export async function settleBuilds(context: Context): Promise<void> {
  const { builds } = context.store
  for (const { id, status, from } of await builds.open()) {
    if (status === 'waiting' && from === null) continue
    const reason = { message: 'The server was restarted.', step: null }
    await builds.update(id, { status: 'failed', reason, endedAt: Date.now() })
  }
}

/** Forgets builds that no tag means, and files that nobody builds from, as long after their use as installed packages. */
export async function purgeBuilds(context: Context): Promise<void> {
  const before = Date.now() - parseDuration(context.config.layerRetention, 'layerRetention')
  await context.store.builds.purge(before)
  await purgeBuildFiles(context, before)
}
