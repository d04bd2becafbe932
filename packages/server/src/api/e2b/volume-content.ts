import { z } from 'zod'
import type { VolumeEntry } from '../../sandboxes/use-cases.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { Flag, Owned, Path, readQuery } from './volume-query.ts'

/** No path of a volume is deeper: deeper than this is all of it. */
const MAX_DEPTH = 4096
const MAX_DATE = 8.64e15

const Listing = Path.extend({ depth: z.coerce.number().int().min(1).max(0xffff_ffff).default(1) })
const Making = Path.extend({ ...Owned, force: Flag })
const Change = z.object({
  uid: z.int().min(0).max(65_535).optional(),
  gid: z.int().min(0).max(65_535).optional(),
  mode: z.int().min(0).max(0o7777).optional(),
})

type Handle = (dialect: Dialect, call: Call, volume: string) => Promise<Answer>

/** The content of volumes as E2B has it, for whoever has the token of the volume. */
export function volumeContentRoutes(dialect: Dialect): Route[] {
  const route = (name: string, method: Route['method'], last: string, handle: Handle): Route => ({
    name: `volumes.${name}`,
    method,
    path: `/volumecontent/{volumeID}/${last}`,
    auth: 'volume',
    handle: (call) => handle(dialect, call, call.params.volumeID ?? ''),
  })
  return [
    route('listDirectory', 'GET', 'dir', list),
    route('makeDirectory', 'POST', 'dir', makeDirectory),
    route('statFile', 'GET', 'path', stat),
    { ...route('changeFile', 'PATCH', 'path', change), body: Change },
    route('removeFile', 'DELETE', 'path', remove),
    route('readFile', 'GET', 'file', read),
    { ...route('writeFile', 'PUT', 'file', write), upload: true },
  ]
}

const list: Handle = async ({ useCases }, { query, signal }, volume) => {
  const { path, depth } = readQuery(Listing, query)
  const shallow = { path, depth: Math.min(depth, MAX_DEPTH) }
  return { json: (await useCases.listVolumeFiles(volume, shallow, signal)).map(toStat) }
}

/** `force` makes the directories above it, too, and takes one that is there for made. */
const makeDirectory: Handle = async ({ useCases }, { query }, volume) => {
  const { force, ...asked } = readQuery(Making, query)
  const made = await useCases.makeVolumeDirectory(volume, { ...asked, parents: force })
  return { status: 201, json: toStat(made) }
}

const stat: Handle = async ({ useCases }, { query }, volume) => ({
  json: toStat(await useCases.statVolumeFile(volume, readQuery(Path, query).path)),
})

const change: Handle = async ({ useCases }, { query, body }, volume) => {
  const { path } = readQuery(Path, query)
  return {
    json: toStat(await useCases.changeVolumeFile(volume, { path, ...(body as z.output<typeof Change>) })),
  }
}

/** A directory with everything in it. */
const remove: Handle = async ({ useCases }, { query, signal }, volume) => {
  const { path } = readQuery(Path, query)
  await useCases.removeVolumeFile(volume, { path, recursive: true }, signal)
  return { status: 204 }
}

const read: Handle = async ({ useCases }, { query, signal }, volume) => {
  const { path } = readQuery(Path, query)
  return fileAnswer(await useCases.readVolumeFile(volume, { path, offset: 0, length: undefined }, signal))
}

/** `force` replaces a file that is there. */
const write: Handle = async ({ useCases }, { query, upload, signal }, volume) => {
  const { force, ...asked } = readQuery(Making, query)
  const options = { ...asked, parents: false, exclusive: !force }
  return { status: 201, json: toStat(await useCases.writeVolumeFile(volume, options, upload, signal)) }
}

export function fileAnswer({
  stat: { size },
  data,
}: {
  stat: { size: number }
  data: AsyncIterable<Uint8Array>
}): Answer {
  return { data, headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) } }
}

/** What is in a volume cannot tell when it was read last or changed otherwise: the time of its content stands for both. */
function toStat({ name, path, type, size, mode, uid, gid, mtimeMs, link }: VolumeEntry): object {
  const time = toDate(mtimeMs)
  return {
    ...{ name, path, size, mode, uid, gid },
    type: type === 'other' ? 'unknown' : type,
    ...{ atime: time, mtime: time, ctime: time },
    ...(link !== null && { target: link }),
  }
}

/** A guest may claim any time; one that no date can hold shows as the epoch. */
export function toDate(ms: number): string {
  return new Date(Math.abs(ms) <= MAX_DATE ? ms : 0).toISOString()
}
