import { SandboxError } from '@caisson/protocol/errors'
import type { Volume } from '@caisson/protocol/resources'
import type { VolumeEntry } from '../../sandboxes/use-cases.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { fileAnswer, toDate } from './volume-content.ts'
import { Flag, Path, readQuery } from './volume-query.ts'

const HINT =
  "Moru's client sends no API key when it moves files of a volume. Give it the key as a header, headers: {'X-API-KEY': key} in the options of the call; or the operator sets moru.volumeIdIsCapability, so that whoever knows the id of a volume may move its files"
const ID = /^vol_[a-z2-7]{20}$/

type Handle = (dialect: Dialect, call: Call, volume: string) => Promise<Answer>

/** The content of volumes as Moru has it: by API key. */
export function moruVolumeRoutes(dialect: Dialect): Route[] {
  const route = (name: string, method: Route['method'], path: string, handle: Handle): Route => ({
    name: `moru.volumes.${name}`,
    method,
    path: `/volumes/{volumeID}/${path}`,
    auth: 'exec',
    handle: (call) => handle(dialect, call, call.params.volumeID ?? ''),
  })
  return [
    route('listFiles', 'GET', 'files', list),
    route('removeFile', 'DELETE', 'files', remove),
    { ...moving(dialect, route('writeFile', 'PUT', 'files/upload', write)), upload: true },
    moving(dialect, route('readFile', 'GET', 'files/download', read)),
  ]
}

/** These two come without credentials. */
function moving({ volumeIdIsCapability }: Dialect, route: Route): Route {
  if (!volumeIdIsCapability) return { ...route, hint: HINT }
  return {
    ...route,
    auth: 'capability',
    handle: (call) => {
      const { volumeID = '' } = call.params
      // A name could be guessed.
      if (!ID.test(volumeID)) throw new SandboxError('volume_not_found', { volume: volumeID })
      return route.handle(call)
    },
  }
}

/** The numbers are counted now, in the volume itself. */
export async function toMoruVolume(
  { useCases }: Dialect,
  { id, name, createdAt, updatedAt }: Volume,
  signal: AbortSignal,
): Promise<object> {
  const { files, bytes } = await useCases.measureVolume(id, signal)
  return { volumeID: id, name, totalSizeBytes: bytes, totalFileCount: files, createdAt, updatedAt }
}

const list: Handle = async ({ useCases }, { query, signal }, volume) => {
  const { path } = readQuery(Path, query)
  const files = await useCases.listVolumeFiles(volume, { path, depth: 1 }, signal)
  return { json: { files: files.map(toFile) } }
}

const remove: Handle = async ({ useCases }, { query, signal }, volume) => {
  const asked = readQuery(Path.extend({ recursive: Flag }), query)
  await useCases.removeVolumeFile(volume, asked, signal)
  return { status: 204 }
}

const write: Handle = async ({ useCases }, { query, upload, signal }, volume) => {
  const { path } = readQuery(Path, query)
  const { size } = await useCases.writeVolumeFile(volume, { path, parents: true }, upload, signal)
  return { json: { size } }
}

const read: Handle = async ({ useCases }, { query, signal }, volume) => {
  const { path } = readQuery(Path, query)
  return fileAnswer(await useCases.readVolumeFile(volume, { path, offset: 0, length: undefined }, signal))
}

/** It knows files and directories: what is no directory is shown as a file. */
function toFile({ name, path, type, size, mtimeMs }: VolumeEntry): object {
  const kind = type === 'directory' ? 'directory' : 'file'
  return { name, path, type: kind, size, modifiedAt: toDate(mtimeMs) }
}
