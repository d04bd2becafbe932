import { parseDuration } from '../../core/duration.ts'
import { newEvent } from '../../core/events.ts'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import { forget } from '../network/attach.ts'
import { countLast } from './halt.ts'
import { keptLives, rememberPaused } from './kept.ts'
import { inTurn } from './turn.ts'

/** The name of a sandbox's dump: it has at most one, which belongs to its present pause. */
export function dumpOf(id: string): string {
  return `dmp_${id.slice(id.indexOf('_') + 1)}`
}

/** When the memory of a paused sandbox is to be put on disk, in milliseconds since the epoch; null: not by itself. */
export function dumpDue({ driver, config }: Context, { state, pause }: SandboxRecord): number | null {
  if (state !== 'paused' || pause?.memory !== 'ram') return null
  if (driver.memory?.noDumps !== null || config.dumpAfter === null) return null
  return pause.since + parseDuration(config.dumpAfter, 'dumpAfter')
}

/**
 * Puts the memory of a frozen sandbox on disk and gives its RAM back. Nothing changes when it is not frozen any more.
 * @throws Error saying what cannot be kept; its memory then stays in RAM
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
    const { bytes } = await memory.dump(id, dumpOf(id), true)
    context.failpoint('dump:written')
    forget(context, id)
    // Its processes have gone; what held them goes with it.
    await nowOrLater(context, { sandbox: id }, () => context.driver.stop(id))
    const onDisk: PauseRecord = { ...pause, memory: 'disk' }
    const change = { pause: onDisk, trafficBefore, rulesDigest: null }
    const events = [newEvent(id, 'memory:saved', { bytes })]
    rememberPaused(context, await context.store.sandboxes.update(id, change, { events }))
    context.failpoint('dump:ended')
    context.log.info({ sandbox: id, bytes }, 'memory put on disk')
  })
}
