import { SandboxError } from '@caisson/protocol/errors'
import type { VolumeRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { createLive, type Made } from '../create-live.ts'
import { findMade } from '../create-sandbox.ts'
import { endSandbox } from '../end-sandbox.ts'
import type { Live } from '../live.ts'
import { Turns } from '../network/turns.ts'
import { volumesOf } from './able.ts'

/** Where a keeper has its volume. */
export const KEPT_AT = '/volume'
/** So long after its last use a keeper ends. */
const IDLE = '60s'
/** Keepers at once: each is a sandbox. */
const MAX_KEEPERS = 16

/**
 * A *keeper* is a sandbox of the server's own without a network that has one volume, so that its content can be reached
 * when no sandbox has it: nobody else is in it, and what its paths and links lead to is nobody's. It is an ordinary
 * sandbox in every other respect: it ends when it is idle, and a server that starts again ends those that it finds.
 */
interface Keepers {
  /** By volume. */
  lives: Map<string, Live>
  starting: number
  turns: Turns
}

const known = new WeakMap<Context, Keepers>()

function keepersOf(context: Context): Keepers {
  const keepers = known.get(context) ?? { lives: new Map(), starting: 0, turns: new Turns() }
  known.set(context, keepers)
  return keepers
}

/**
 * The keeper of a volume, which is started if there is none. It stays until the returned function is called.
 * @throws SandboxError `volume_not_found`, `too_many`, `not_supported`, and as a create does
 */
export async function takeKeeper(
  context: Context,
  idOrName: string,
): Promise<{ sandbox: string; volume: VolumeRecord; release: () => void }> {
  const { turns } = keepersOf(context)
  const found = await context.store.volumes.find(idOrName)
  if (found === null) throw new SandboxError('volume_not_found', { volume: idOrName })
  const live =
    runningOf(context, found.id) ??
    (await turns.take(found.id, async () => {
      const running = runningOf(context, found.id)
      if (running !== null) return running
      const volume = await context.store.volumes.find(found.id)
      if (volume === null) throw new SandboxError('volume_not_found', { volume: idOrName })
      return start(context, volume)
    }))
  // From here to the last use nothing may be waited for: the reaper does not end what is busy.
  const done = live.begin(Date.now())
  const release = () => {
    done()
    context.reschedule()
  }
  return { sandbox: live.id, volume: found, release }
}

/** Ends the keeper of a volume, then does `work`; none is started meanwhile. */
export function withoutKeeper<T>(context: Context, volume: string, work: () => Promise<T>): Promise<T> {
  const { turns, lives } = keepersOf(context)
  return turns.take(volume, async () => {
    const live = lives.get(volume)
    if (live !== undefined) await endSandbox(context, live.record, 'completed')
    lives.delete(volume)
    return work()
  })
}

/** Ends all keepers: the server stops. One that could not be ended is found and ended by the next server. */
export async function endKeepers(context: Context): Promise<void> {
  const { lives } = keepersOf(context)
  const ended = [...lives.values()].map((live) => endSandbox(context, live.record, 'completed'))
  for (const result of await Promise.allSettled(ended))
    if (result.status === 'rejected')
      context.log.warn({ err: result.reason }, 'the keeper of a volume is left to the next server')
  lives.clear()
}

function runningOf(context: Context, volume: string): Live | null {
  const { lives } = keepersOf(context)
  const live = lives.get(volume)
  if (live === undefined) return null
  if (context.live.get(live.id) === live && live.record.state === 'ready') return live
  lives.delete(volume)
  return null
}

async function start(context: Context, volume: VolumeRecord): Promise<Live> {
  volumesOf(context)
  const keepers = keepersOf(context)
  keepers.starting++
  try {
    await makeRoom(context)
    const live = await create(context, volume)
    keepers.lives.set(volume.id, live)
    return live
  } finally {
    keepers.starting--
  }
}

/** The keeper that has been idle longest makes room. @throws SandboxError `too_many` when all are busy */
async function makeRoom(context: Context): Promise<void> {
  const { lives, starting } = keepersOf(context)
  for (const volume of [...lives.keys()]) runningOf(context, volume)
  if (lives.size + starting <= MAX_KEEPERS) return
  const [idle] = [...lives.values()]
    .filter((live) => !live.busy)
    .sort((a, b) => a.record.lastActiveAt - b.record.lastActiveAt)
  if (idle === undefined)
    throw new SandboxError('too_many', { what: 'volumes whose content is in use', limit: MAX_KEEPERS })
  await endSandbox(context, idle.record, 'completed', () => !idle.busy)
}

async function create(context: Context, { id, name }: VolumeRecord): Promise<Live> {
  using holds = new DisposableStack()
  const image = await findMade(context, {}, holds)
  const made: Made = {
    ...image,
    volumes: [{ volume: id, name, path: KEPT_AT, readOnly: false }],
    record: { ...image.record, internal: 'volume', network: null, start: null, ports: [] },
  }
  const input = { network: false, idleTimeout: IDLE, description: `keeper of volume ${name}` }
  return (await createLive(context, input, 'oneshot', made)).live
}
