import { SandboxError } from '@caisson/protocol/errors'
import type { Volume } from '@caisson/protocol/resources'
import { newId } from '../../core/ids.ts'
import { invalid } from '../../core/invalid.ts'
import { LIVE_STATES } from '../../core/lifecycle.ts'
import { formatBytes, parseBytes } from '../../core/quantity.ts'
import type { SandboxRecord, VolumeRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { volumesOf } from './able.ts'
import { withoutKeeper } from './keeper.ts'
import { holdVolume, inVolumeTurn, isHeld } from './turns.ts'

/** Below this not even a few small files fit. */
const MIN_BYTES = 1024 ** 2
/** Sandboxes that are told of one volume. */
const MAX_MOUNTS = 1000

/** The directory comes before the record, so that whatever is recorded is there. */
export async function createVolume(
  context: Context,
  { name, size, metadata = {} }: Parameters<UseCases['createVolume']>[0],
): Promise<Volume> {
  const { store, failpoint } = context
  const volumes = volumesOf(context)
  const limitBytes = size === undefined ? null : parseLimit(context, size)
  if ((await store.volumes.find(name)) !== null) throw new SandboxError('volume_exists', { volume: name })
  const now = Date.now()
  const record = { id: newId('vol'), name, limitBytes, metadata, createdAt: now, updatedAt: now }
  using _ = holdVolume(context, record.id)
  await volumes.create(record.id, limitBytes)
  failpoint('volume:made')
  try {
    await store.volumes.insert(record)
  } catch (error) {
    await removeFiles(context, record.id)
    throw error
  }
  failpoint('volume:recorded')
  return toVolume(record, 0, [])
}

export async function listVolumes(
  context: Context,
  query: Parameters<UseCases['listVolumes']>[0],
): ReturnType<UseCases['listVolumes']> {
  const { items, total } = await context.store.volumes.list(query)
  const used = await context.layers.volumes?.list()
  const volumes: Volume[] = []
  for (const record of items) volumes.push(await show(context, record, used))
  return { volumes, total }
}

export async function getVolume(context: Context, idOrName: string): Promise<Volume> {
  const record = await findVolume(context, idOrName)
  return show(context, record, await context.layers.volumes?.list())
}

async function findVolume({ store }: Context, idOrName: string): Promise<VolumeRecord> {
  const record = await store.volumes.find(idOrName)
  if (record === null) throw new SandboxError('volume_not_found', { volume: idOrName })
  return record
}

/**
 * The record goes first: what is left of the files when the server dies there is garbage, whereas a record without files
 * would be a promise that is broken.
 */
export async function deleteVolume(context: Context, idOrName: string): Promise<void> {
  const { id } = await findVolume(context, idOrName)
  await inVolumeTurn(context, id, async () => {
    const { name } = await findVolume(context, id)
    // Before the records are read: who holds it names it in one and then lets go, and nobody begins to hold it now.
    const sandboxes = isHeld(context, id) ? ['a sandbox that is being created'] : await usersOf(context, id)
    if (sandboxes.length > 0) throw new SandboxError('volume_in_use', { volume: name, sandboxes })
    await withoutKeeper(context, id, async () => {
      await context.store.volumes.remove(id)
      context.failpoint('volume:forgotten')
      await removeFiles(context, id)
    })
  })
}

/** The record is gone, which is what the caller was asked for: files that stay are collected later. */
async function removeFiles({ layers, log }: Context, volume: string): Promise<void> {
  await layers.volumes
    ?.remove(volume)
    .catch((err) =>
      log.warn({ volume, err }, 'the files of a volume could not be removed and are left to gc'),
    )
}

async function usersOf(context: Context, volume: string): Promise<string[]> {
  return (await mountsOf(context, volume)).map(({ id, name }) => name ?? id)
}

/** Sandboxes that have it and have not ended, however they are. */
async function mountsOf({ store }: Context, volume: string): Promise<SandboxRecord[]> {
  const page = { sort: 'created', direction: 'asc', limit: MAX_MOUNTS, offset: 0 } as const
  return (await store.sandboxes.list({ volume, states: LIVE_STATES, ...page })).items
}

/** @throws SandboxError `not_supported`, `invalid_request` */
function parseLimit({ layers }: Context, size: string): number {
  if (!layers.quota)
    throw new SandboxError('not_supported', {
      what: 'size',
      reason: 'the storage in use has no quotas; "caisson doctor" says what it would need',
    })
  const bytes = parseBytes(size, 'size')
  const max = layers.maxDiskBytes ?? Number.MAX_SAFE_INTEGER
  if (bytes < MIN_BYTES)
    throw invalid('size', `${formatBytes(bytes)} is less than the minimum of ${formatBytes(MIN_BYTES)}`)
  if (bytes > max)
    throw invalid('size', `${formatBytes(bytes)} is more than the storage has, which is ${formatBytes(max)}`)
  return bytes
}

async function show(
  context: Context,
  record: VolumeRecord,
  used: Map<string, number> | undefined,
): Promise<Volume> {
  return toVolume(record, used?.get(record.id) ?? null, await mountsOf(context, record.id))
}

function toVolume(
  { createdAt, updatedAt, ...record }: VolumeRecord,
  usedBytes: number | null,
  sandboxes: SandboxRecord[],
): Volume {
  const mounts = sandboxes.flatMap(({ id, volumes }) =>
    volumes
      .filter(({ volume }) => volume === record.id)
      .map(({ path, readOnly }) => ({ sandboxId: id, path, readOnly })),
  )
  const dates = {
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
  }
  return { ...record, usedBytes, mounts, ...dates }
}
