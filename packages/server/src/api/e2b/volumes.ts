import { SandboxError } from '@caisson/protocol/errors'
import { CreateVolume, type Volume } from '@caisson/protocol/resources'
import { z } from 'zod'
import { Refused } from './errors.ts'
import { moruVolumeRoutes, toMoruVolume } from './moru-volumes.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { volumeContentRoutes } from './volume-content.ts'

/** Volumes whose files are counted at once, for Moru's list. */
const AT_ONCE = 4
const PAGE = 100

/** Volumes: their control plane, which both clients share, and the content as either has it. */
export function volumeRoutes(dialect: Dialect): Route[] {
  // Whoever sees a volume gets the token to its content, or has its files counted: a key that only reads does not do.
  const auth = 'exec'
  const one = '/volumes/{volumeID}'
  return [
    {
      name: 'volumes.create',
      method: 'POST',
      path: '/volumes',
      auth,
      body: z.object({ name: CreateVolume.shape.name }),
      handle: (call) => create(dialect, call),
    },
    { name: 'volumes.list', method: 'GET', path: '/volumes', auth, handle: (call) => list(dialect, call) },
    { name: 'volumes.get', method: 'GET', path: one, auth, handle: (call) => get(dialect, call) },
    { name: 'volumes.delete', method: 'DELETE', path: one, auth, handle: (call) => remove(dialect, call) },
    ...volumeContentRoutes(dialect),
    ...moruVolumeRoutes(dialect),
  ]
}

/** For Moru a volume that is there is as good as a new one; for E2B a name is taken once. */
async function create(dialect: Dialect, { body, client, signal }: Call): Promise<Answer> {
  const { name } = body as { name: string }
  const made = await dialect.useCases.createVolume({ name }).catch((error) => {
    if (SandboxError.is(error, 'volume_exists')) return null
    throw error
  })
  if (client === 'moru') {
    const volume = made ?? (await dialect.useCases.getVolume(name))
    return { status: made === null ? 200 : 201, json: await toMoruVolume(dialect, volume, signal) }
  }
  if (made === null) throw new Refused(400, `A volume with the name ${name} exists already`)
  return { status: 201, json: withToken(dialect, made) }
}

async function list(dialect: Dialect, { client, signal }: Call): Promise<Answer> {
  const volumes = await allVolumes(dialect)
  if (client === 'e2b') return { json: volumes.map(toE2bVolume) }
  const json: object[] = []
  for (let at = 0; at < volumes.length; at += AT_ONCE) {
    const some = volumes.slice(at, at + AT_ONCE)
    const shown = await Promise.all(some.map((volume) => toMoruUnlessGone(dialect, volume, signal)))
    json.push(...shown.filter((volume) => volume !== null))
  }
  return { json }
}

async function get(dialect: Dialect, { params, client, signal }: Call): Promise<Answer> {
  const volume = await dialect.useCases.getVolume(params.volumeID ?? '')
  if (client === 'moru') return { json: await toMoruVolume(dialect, volume, signal) }
  return { json: withToken(dialect, volume) }
}

async function remove({ useCases }: Dialect, { params }: Call): Promise<Answer> {
  await useCases.deleteVolume(params.volumeID ?? '')
  return { status: 204 }
}

function toE2bVolume({ id, name }: Volume): { volumeID: string; name: string } {
  return { volumeID: id, name }
}

/** `domain`: without one, the client would take the token to the servers of its makers. */
function withToken({ useCases, domain }: Dialect, volume: Volume): object {
  return { ...toE2bVolume(volume), token: useCases.volumeToken(volume.id), domain: domain() }
}

/** Another may delete one while the list is made. */
async function toMoruUnlessGone(
  dialect: Dialect,
  volume: Volume,
  signal: AbortSignal,
): Promise<object | null> {
  return toMoruVolume(dialect, volume, signal).catch((error) => {
    if (SandboxError.is(error, 'volume_not_found')) return null
    throw error
  })
}

async function allVolumes({ useCases }: Dialect): Promise<Volume[]> {
  const all: Volume[] = []
  for (;;) {
    const page = { sort: 'created', direction: 'desc', limit: PAGE, offset: all.length } as const
    const { volumes } = await useCases.listVolumes(page)
    all.push(...volumes)
    if (volumes.length < PAGE) return all
  }
}
