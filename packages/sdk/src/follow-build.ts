import { SandboxError } from '@caisson/protocol/errors'
import type { Build, BuildLogEntry } from '@caisson/protocol/resources'
import { pause } from './follow.ts'
import type { Builds, TemplateBuildOptions } from './templates.ts'

/** Entries of a log that are asked for at once. */
const PAGE = 1000
/** Entries that an error tells of the log. */
const TOLD = 20
/** Milliseconds between two looks, first and last. */
const SOONEST = 100
const LATEST = 1000

/**
 * Follows a build to its end and tells its log.
 *
 * @throws SandboxError `build_failed`, `aborted`
 */
export async function followBuild(
  builds: Builds,
  { id, name }: { id: string; name: string },
  { signal, onLog }: Pick<TemplateBuildOptions, 'signal' | 'onLog'>,
): Promise<Build> {
  const last: BuildLogEntry[] = []
  const tell = (entry: BuildLogEntry) => {
    if (last.push(entry) > TOLD) last.shift()
    onLog?.(entry)
  }
  const build = await untilEnded(builds, id, tell, signal)
  if (build.status === 'ready') return build
  throw failed(name, build, last)
}

async function untilEnded(
  builds: Builds,
  id: string,
  tell: (entry: BuildLogEntry) => void,
  signal: AbortSignal | undefined,
): Promise<Build> {
  let offset = 0
  for (let wait = SOONEST; ; wait = Math.min(wait * 1.5, LATEST)) {
    // Before the log: what is told until the end is all there then.
    const build = await builds.get(id, { signal })
    for (;;) {
      const entries = await builds.log(id, { offset, limit: PAGE }, { signal })
      entries.forEach(tell)
      offset += entries.length
      if (entries.length < PAGE) break
      wait = SOONEST
    }
    if (build.status === 'ready' || build.status === 'failed') return build
    await pause(wait, signal)
  }
}

function failed(name: string, { reason }: Build, log: readonly BuildLogEntry[]): SandboxError {
  const where = reason?.step == null ? '' : `step ${reason.step}: `
  return new SandboxError('build_failed', {
    what: `Template "${name}"`,
    reason: `${where}${reason?.message ?? 'nobody knows why'}`.replace(/\.$/, ''),
    log: log.map(({ message }) => message).join('\n'),
  })
}
