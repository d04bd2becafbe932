import { parseDuration } from '../../core/duration.ts'
import { newEvent } from '../../core/events.ts'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { nowOrLater, untilDone } from '../eventually.ts'
import { forget } from '../network/attach.ts'
import { reasonOf } from './finish-pause.ts'
import { countLast } from './halt.ts'
import { keptLives, rememberPaused } from './kept.ts'
import { inTurn } from './turn.ts'

/** The name of a sandbox's dump: it has at most one, which belongs to its present pause. */
export function dumpOf(id: string): string {
  return `dmp_${id.slice(id.indexOf('_') + 1)}`
}

/** Pauses whose memory could not be put on disk, by when they began: it is not tried again before the next one. */
const undumpable = new WeakMap<Context, Map<string, number>>()

/** When the memory of a paused sandbox is to be put on disk, in milliseconds since the epoch; null: not by itself. */
export function dumpDue(context: Context, { id, state, pause, storage }: SandboxRecord): number | null {
  const { driver, config, layers } = context
  if (state !== 'paused' || pause?.memory !== 'ram') return null
  if (driver.memory?.noDumps !== null || config.dumpAfter === null) return null
  // Nothing could be started from the dump: its files are not to be had here.
  if (storage !== layers.name) return null
  if (undumpable.get(context)?.get(id) === pause.since) return null
  return pause.since + parseDuration(config.dumpAfter, 'dumpAfter')
}

/**
 * Puts the memory of a frozen sandbox on disk and gives its RAM back; what cannot be kept there stays in RAM. Nothing
 * changes when it is not frozen any more.
 */
export function dumpNow(context: Context, id: string): Promise<void> {
  return inTurn(context, id, async () => {
    const record = context.paused.get(id)
    const pause = record?.pause
    const { memory } = context.driver
    const live = keptLives(context).get(id)
    if (context.stopping || record?.state !== 'paused' || pause?.memory !== 'ram') return
    if (memory === undefined || live === undefined) return
    context.failpoint('dump:begun')
    const trafficBefore = await countLast(context, live)
    const dumped = await memory
      .dump(id, dumpOf(id), true)
      .catch((error) => afterFailure(context, id, pause, error))
    if (dumped === null) return
    context.failpoint('dump:written')
    forget(context, id)
    // Its processes have gone; what held them goes with it.
    await nowOrLater(context, { sandbox: id }, () => context.driver.stop(id))
    const onDisk: PauseRecord = { ...pause, memory: 'disk' }
    const change = { pause: onDisk, trafficBefore, rulesDigest: null }
    const events = [newEvent(id, 'memory:saved', { bytes: dumped.bytes })]
    const write = () => context.store.sandboxes.update(id, change, { events })
    rememberPaused(context, await untilDone(context, { sandbox: id }, write))
    context.failpoint('dump:ended')
    context.log.info({ sandbox: id, bytes: dumped.bytes }, 'memory put on disk')
  })
}

/** Who was to answer may have died while its work was done to the end. */
async function afterFailure(
  context: Context,
  id: string,
  pause: PauseRecord,
  error: unknown,
): Promise<{ bytes: number | null } | null> {
  const { driver } = context
  const [found, dumps] = await Promise.all([driver.list(), driver.memory?.listDumps()])
  const runs = found.some((one) => one.id === id && one.running)
  return !runs && dumps?.includes(dumpOf(id)) ? { bytes: null } : stayInRam(context, id, pause, error)
}

async function stayInRam(context: Context, id: string, pause: PauseRecord, error: unknown): Promise<null> {
  const known = undumpable.get(context) ?? new Map<string, number>()
  undumpable.set(context, known.set(id, pause.since))
  const reason = reasonOf(error)
  context.log.warn({ sandbox: id, err: error }, 'memory could not be put on disk; it stays in RAM')
  const events = [newEvent(id, 'pause:failed', { what: 'dump', reason })]
  rememberPaused(context, await context.store.sandboxes.update(id, {}, { durability: 'process', events }))
  return null
}
