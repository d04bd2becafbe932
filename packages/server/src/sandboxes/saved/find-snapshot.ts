import { SandboxError } from '@caisson/protocol/errors'
import type { SnapshotRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'

/** The tag that a snapshot gets, and that a name alone means. */
export const LATEST = 'latest'

/** Named in an error at most. */
const MAX_MATCHES = 10

/**
 * The snapshot that a reference means, which is the first of: its id; `name:tag`; its name, with the tag `latest` or as
 * the only one of that name; its tag, as the only one that has it.
 * @throws SandboxError `snapshot_not_found`, `snapshot_ambiguous`
 */
export async function findSnapshot(
  { store }: Pick<Context, 'store'>,
  reference: string,
): Promise<SnapshotRecord> {
  const { snapshots } = store
  const byId = await snapshots.get(reference)
  if (byId !== null) return byId
  const colon = reference.indexOf(':')
  if (colon >= 0) {
    const exact = { name: reference.slice(0, colon), tag: reference.slice(colon + 1) }
    return only(reference, await snapshots.matching(exact))
  }
  const named = await snapshots.matching({ name: reference })
  const latest = named.find(({ tag }) => tag === LATEST)
  if (latest !== undefined) return latest
  return only(reference, named.length > 0 ? named : await snapshots.matching({ tag: reference }))
}

function only(snapshot: string, found: SnapshotRecord[]): SnapshotRecord {
  const [first, ...others] = found
  if (first === undefined) throw new SandboxError('snapshot_not_found', { snapshot })
  if (others.length > 0)
    throw new SandboxError('snapshot_ambiguous', { snapshot, matches: showMatches(found) })
  return first
}

function showMatches(found: SnapshotRecord[]): string[] {
  const shown = found.slice(0, MAX_MATCHES).map(({ id, name, tag }) => (tag === null ? id : `${name}:${tag}`))
  return found.length > MAX_MATCHES ? [...shown, `${found.length - MAX_MATCHES} others`] : shown
}
