import { posix } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { invalid } from '../../core/invalid.ts'
import type { FileStat, GuestFiles } from '../../guest/guest.ts'
import type { Context } from '../context.ts'
import { open, quick, use } from '../files/access.ts'
import { listFiles } from '../files/listing.ts'
import { Turns } from '../network/turns.ts'
import type { UseCases, VolumeEntry } from '../use-cases.ts'
import { KEPT_AT, takeKeeper } from './keeper.ts'

/** Longest path in the volume, so that it fits beneath the keeper's mount. */
const MAX_PATH = 4000
/** Of what is made: the first ordinary user of nearly every image, and the sandboxes' own. */
const OWNER = 1000

/** A path of a volume: as its users name it, and as the keeper has it. */
interface Place {
  path: string
  kept: string
}

/** Whatever it says stays in the volume; a link in it leads at most into the keeper's own files. @throws SandboxError `invalid_request` */
function placeOf(text: string): Place {
  if (text.includes('\0')) throw invalid('path', 'must not contain NUL')
  const path = posix.normalize(`/${text}`).replace(/(.)\/$/, '$1')
  if (Buffer.byteLength(path) > MAX_PATH) throw invalid('path', `must not be longer than ${MAX_PATH} bytes`)
  return { path, kept: path === '/' ? KEPT_AT : KEPT_AT + path }
}

function toEntry({ path }: Place, stat: FileStat): VolumeEntry {
  return { ...stat, name: posix.basename(path), path }
}

export function contentUseCases(
  context: Context,
): Pick<
  UseCases,
  | 'listVolumeFiles'
  | 'statVolumeFile'
  | 'readVolumeFile'
  | 'writeVolumeFile'
  | 'makeVolumeDirectory'
  | 'changeVolumeFile'
  | 'removeVolumeFile'
  | 'measureVolume'
> {
  return {
    listVolumeFiles: (...args) => listVolumeFiles(context, ...args),
    statVolumeFile: (volume, path) => statVolumeFile(context, volume, path),
    readVolumeFile: (...args) => readVolumeFile(context, ...args),
    writeVolumeFile: (...args) => writeVolumeFile(context, ...args),
    makeVolumeDirectory: (...args) => makeVolumeDirectory(context, ...args),
    changeVolumeFile: (...args) => changeVolumeFile(context, ...args),
    removeVolumeFile: (...args) => removeVolumeFile(context, ...args),
    measureVolume: (...args) => measureVolume(context, ...args),
  }
}

async function listVolumeFiles(
  context: Context,
  ...[volume, { path, depth }, signal]: Parameters<UseCases['listVolumeFiles']>
): ReturnType<UseCases['listVolumeFiles']> {
  const place = placeOf(path)
  const entries = await withKeeper(context, volume, place, (keeper) =>
    listFiles(context, keeper, { path: place.kept, depth, user: 'root', attributes: false }, signal),
  )
  return entries.map(({ name, ...stat }) => toEntry(placeOf(posix.join(place.path, name)), stat))
}

async function statVolumeFile(context: Context, volume: string, path: string): Promise<VolumeEntry> {
  const place = placeOf(path)
  return withKeeper(context, volume, place, (keeper) =>
    quick(context, keeper, async (files, signal) => toEntry(place, await statOf(files, place, signal))),
  )
}

async function readVolumeFile(
  context: Context,
  ...[volume, { path, offset, length }, signal]: Parameters<UseCases['readVolumeFile']>
): ReturnType<UseCases['readVolumeFile']> {
  const place = placeOf(path)
  const part = { offset, ...(length !== undefined && { length }) }
  // What is open keeps the keeper busy by itself.
  return withKeeper(context, volume, place, (keeper) =>
    open(context, keeper, (files, either) => files.read(place.kept, part, either), signal),
  )
}

/** Those who must not replace one another's file come one after the other. */
const exclusives = new WeakMap<Context, Turns>()

async function writeVolumeFile(
  context: Context,
  ...[volume, query, data, signal]: Parameters<UseCases['writeVolumeFile']>
): ReturnType<UseCases['writeVolumeFile']> {
  const { path, mode, uid = OWNER, gid = OWNER, parents, exclusive = false } = query
  const place = placeOf(path)
  const options = { parents, owner: { uid, gid }, ...(mode !== undefined && { mode }) }
  return withKeeper(context, volume, place, (keeper) => {
    const write = () =>
      use(context, keeper, async (files) => {
        if (exclusive) await assertFree(files, place, signal)
        const { stat } = await files.write(place.kept, data, options, signal)
        return toEntry(place, stat)
      })
    if (!exclusive) return write()
    const turns = exclusives.get(context) ?? new Turns()
    exclusives.set(context, turns)
    return turns.take(`${keeper} ${place.path}`, write)
  })
}

async function makeVolumeDirectory(
  context: Context,
  ...[volume, { path, parents, mode, uid = OWNER, gid = OWNER }]: Parameters<UseCases['makeVolumeDirectory']>
): ReturnType<UseCases['makeVolumeDirectory']> {
  const place = placeOf(path)
  const options = { parents, owner: { uid, gid }, ...(mode !== undefined && { mode }) }
  return withKeeper(context, volume, place, (keeper) =>
    quick(context, keeper, async (files, signal) => {
      await files.mkdir(place.kept, options, signal)
      return toEntry(place, await statOf(files, place, signal))
    }),
  )
}

async function changeVolumeFile(
  context: Context,
  ...[volume, { path, mode, uid, gid }]: Parameters<UseCases['changeVolumeFile']>
): ReturnType<UseCases['changeVolumeFile']> {
  const place = placeOf(path)
  return withKeeper(context, volume, place, (keeper) =>
    quick(context, keeper, async (files, signal) => {
      const before = await files.stat(place.kept, { follow: true }, signal)
      // First: a new owner takes bits of the mode away.
      if (uid !== undefined || gid !== undefined)
        await files.chown(place.kept, uid ?? before.uid, gid ?? before.gid, {}, signal)
      if (mode !== undefined) await files.chmod(place.kept, mode, {}, signal)
      return toEntry(place, await statOf(files, place, signal))
    }),
  )
}

async function removeVolumeFile(
  context: Context,
  ...[volume, { path, recursive }, signal]: Parameters<UseCases['removeVolumeFile']>
): ReturnType<UseCases['removeVolumeFile']> {
  const place = placeOf(path)
  if (place.path === '/') throw invalid('path', 'the root of a volume goes with the volume only')
  return withKeeper(context, volume, place, (keeper) =>
    use(context, keeper, (files) => files.remove(place.kept, { recursive }, signal)),
  )
}

/** Looks at every file, so that it is true now. */
async function measureVolume(
  context: Context,
  ...[volume, signal]: Parameters<UseCases['measureVolume']>
): ReturnType<UseCases['measureVolume']> {
  const root = placeOf('/')
  return withKeeper(context, volume, root, (keeper) =>
    use(context, keeper, async (files) => {
      const { entries } = await files.readTree(root.kept, {}, signal)
      const sum = { files: 0, bytes: 0 }
      for await (const { type, size } of entries) {
        signal?.throwIfAborted()
        if (type !== 'file') continue
        sum.files++
        sum.bytes += size
      }
      return sum
    }),
  )
}

function statOf(files: GuestFiles, { kept }: Place, signal: AbortSignal): Promise<FileStat> {
  return files.stat(kept, { follow: false }, signal)
}

/** @throws SandboxError `file_exists` */
async function assertFree(files: GuestFiles, { kept }: Place, signal?: AbortSignal): Promise<void> {
  const there = await files.stat(kept, { follow: false }, signal).catch((error) => {
    if (SandboxError.is(error, 'file_not_found')) return null
    throw error
  })
  if (there !== null) throw new SandboxError('file_exists', { path: kept })
}

/** Errors name the path as the caller did, not as the keeper has it. */
async function withKeeper<T>(
  context: Context,
  volume: string,
  { path, kept }: Place,
  work: (keeper: string) => Promise<T>,
): Promise<T> {
  const { sandbox, release } = await takeKeeper(context, volume)
  try {
    return await work(sandbox)
  } catch (error) {
    throw renamed(error, kept, path)
  } finally {
    release()
  }
}

function renamed(error: unknown, kept: string, path: string): unknown {
  if (!(error instanceof SandboxError)) return error
  const details = error.details as Record<string, unknown>
  if (typeof details.path !== 'string') return error
  const named = details.path === kept ? path : details.path.replace(`${KEPT_AT}/`, '/')
  return new SandboxError(error.code, { ...details, path: named } as never, { cause: error })
}
