import { SandboxError } from '@caisson/protocol/errors'
import { newEvent } from '../../core/events.ts'
import { newId, sha256 } from '../../core/ids.ts'
import type { Stage } from '../../core/plan.ts'
import type { SandboxRecord } from '../../core/records.ts'
import { type Context, join } from '../context.ts'
import { findSandbox, showSandbox } from '../lookup.ts'
import { Stopwatch } from '../stopwatch.ts'
import type { UseCases } from '../use-cases.ts'
import { holdVolumes } from '../volumes/mounts.ts'
import { copiesOf } from './copy-input.ts'
import { holdSave } from './hold.ts'
import { type CopyKey, endAll, makeCopies } from './make-copies.ts'
import { findOriginal, removeMemory } from './memory.ts'
import { saveRoot } from './save-root.ts'
import { savesOf, withNewSave } from './saves.ts'

/** Forks of one sandbox that a repeated request is looked for in. */
const MAX_EVENTS = 1000

type Input = Parameters<UseCases['forkSandbox']>[1]
type Copies = { records: SandboxRecord[]; stages: Stage[] }

/** Makes copies of a sandbox, which goes on; or answers with those that the same idempotency key made. */
export async function forkSandbox(
  context: Context,
  ...[id, input, { idempotencyKey: key } = {}, signal]: Parameters<UseCases['forkSandbox']>
): ReturnType<UseCases['forkSandbox']> {
  const { records, stages } =
    key === undefined
      ? await fork(context, id, input, null, signal)
      : await forkOnce(context, id, input, key, signal)
  const sandboxes = await Promise.all(
    records.map(async (record) => showSandbox(context, await findSandbox(context, record.id))),
  )
  return { sandboxes, stages }
}

async function forkOnce(
  context: Context,
  id: string,
  input: Input,
  key: string,
  signal?: AbortSignal,
): Promise<Copies> {
  const digest = sha256(JSON.stringify([id, input]))
  const keys = Array.from({ length: input.count }, (_, index) => ({ key: `fork ${index} ${key}`, digest }))
  const first = await join(context, `fork ${key}`, async () => {
    const known = await knownCopies(context, keys)
    const used = known[0]?.requestDigest ?? digest
    if (known.length === keys.length || used !== digest) return { digest: used, records: known, stages: [] }
    if (known.length > 0 && (await wasTold(context, id, known))) return { digest, records: known, stages: [] }
    // The server died on the way: nobody was told of these, and they are of another moment.
    await endAll(context, known)
    return { digest, ...(await fork(context, id, input, keys, signal)) }
  })
  if (first.digest !== digest) throw new SandboxError('idempotency_conflict', { key })
  return first
}

async function knownCopies({ store }: Context, keys: CopyKey[]): Promise<SandboxRecord[]> {
  const found = await Promise.all(keys.map(({ key }) => store.sandboxes.findByIdempotencyKey(key)))
  return found.filter((record) => record !== null)
}

/** Copies that were made together are told by an event of their original; some of them may be forgotten by now. */
async function wasTold(context: Context, id: string, copies: SandboxRecord[]): Promise<boolean> {
  const { id: sandboxId } = await findSandbox(context, id)
  const query = { sandboxId, type: 'fork', direction: 'desc', limit: MAX_EVENTS, offset: 0 } as const
  const { items } = await context.store.events.list(query)
  const told = new Set(items.flatMap(({ payload }) => payload.sandboxes as string[]))
  return copies.some((copy) => told.has(copy.id))
}

async function fork(
  context: Context,
  id: string,
  input: Input,
  keys: CopyKey[] | null,
  signal?: AbortSignal,
): Promise<Copies> {
  assertPossible(context, input)
  const clock = new Stopwatch()
  const original = await findOriginal(context, id, { memory: input.memory, what: 'a fork' })
  const dump = input.memory ? newId('dmp') : null
  using holds = new DisposableStack()
  holds.use(holdSave(context, original.base, ...original.layers, dump))
  await holdVolumes(context, original.volumes, holds)
  try {
    return await withNewSave(context, { passing: true }, async (save) => {
      const saved = await saveRoot(context, original, save, 'fork:saved', dump)
      clock.lap('save')
      const copies = await copiesOf(context, saved, input, { save, dump })
      const made = await makeCopies(context, copies, keys, signal)
      clock.lap('copies')
      const records = made.map(({ record }) => record)
      await tell(context, original, records, input)
      return { records, stages: clock.stages }
    })
  } finally {
    if (dump !== null) await removeMemory(context, dump)
  }
}

/** From here on they count as made. */
async function tell(
  context: Context,
  original: SandboxRecord,
  copies: SandboxRecord[],
  { memory }: Input,
): Promise<void> {
  const event = newEvent(original.id, 'fork', { sandboxes: copies.map(({ id }) => id), memory })
  try {
    await context.store.events.add([event])
  } catch (error) {
    await endAll(context, copies)
    throw error
  }
}

/** @throws SandboxError `not_supported`, `too_many`, `shutting_down` */
function assertPossible(context: Context, { count }: Input): void {
  const { config, idBases, stopping } = context
  if (stopping) throw new SandboxError('shutting_down', {})
  savesOf(context)
  if (idBases.size + count > config.maxSandboxes)
    throw new SandboxError('too_many', { what: 'sandboxes', limit: config.maxSandboxes })
}
