import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { Found } from '../../runtime/driver.ts'
import type { SandboxChange } from '../../state/store.ts'
import type { Context } from '../context.ts'
import { finishRestore } from '../saved/put-back.ts'
import { dumpOf } from './dump.ts'
import { finishStopped } from './finish-pause.ts'
import { halt, haltForPause } from './halt.ts'
import { keptLives, rememberPaused } from './kept.ts'
import { recordLoss } from './lose-memory.ts'
import { rebuild } from './rebuild.ts'
import { lifeOf, resumeNow } from './resume.ts'
import { shiftOpen } from './run-again.ts'

/**
 * What becomes of a sandbox that an earlier server was pausing, had paused, or was resuming:
 *
 * | state    | memory, depth | on the host     |                                                               |
 * |----------|---------------|-----------------|---------------------------------------------------------------|
 * | pausing  | any           | runs            | ready: nobody was told that it is paused                      |
 * | pausing  | ram           | frozen          | thawed, ready                                                 |
 * | pausing  | none          | frozen          | its pause was being made deeper: its processes end, paused    |
 * | pausing  | ram           | nothing         | its memory is lost: paused, with its files                    |
 * | pausing  | none          | nothing         | the rest of the pause is done: paused                         |
 * | paused   | ram           | runs or frozen  | frozen, paused                                                |
 * | paused   | ram           | a whole dump    | paused, its memory on disk                                    |
 * | paused   | ram           | nothing         | its memory is lost                                            |
 * | paused   | disk, none    | runs or frozen  | what runs is ended: it came from a resume that is taken back  |
 * | paused   | disk          | no dump         | its memory is lost                                            |
 * | resuming | ram           | runs or frozen  | frozen, paused                                                |
 * | resuming | disk          | runs            | ready: its files have gone on, so that its dump is void       |
 * | resuming | none          | runs            | its processes end, paused: nobody was told that it runs       |
 * | resuming | any           | nothing         | as paused                                                     |
 *
 * Whose files are being put back to a checkpoint ends, gets them, and is resumed if it ran.
 * @returns the record of one that is ready, and is to be taken over; null: it is settled
 */
export async function settlePaused(
  context: Context,
  record: SandboxRecord,
  found: Found | undefined,
): Promise<SandboxRecord | null> {
  const runs = found?.running === true
  const memory = record.pause?.memory
  if (record.restoring !== null) await settleRestoring(context, record)
  else if (record.state === 'pausing' && runs && !(found.frozen && memory === 'none'))
    return readyAgain(context, found)
  else if (record.state === 'resuming' && runs && memory === 'disk') return wentOn(context, record)
  else if (record.state === 'pausing' && memory === 'none') await finishPause(context, record)
  else if (memory === 'ram' && runs) await keepFrozen(context, record)
  else await keepStopped(context, record, found)
  return null
}

async function readyAgain(context: Context, { id, frozen }: Found): Promise<SandboxRecord> {
  if (frozen) await context.driver.memory?.thaw(id)
  return context.store.sandboxes.update(id, { state: 'ready', pause: null }, { durability: 'process' })
}

async function wentOn(context: Context, record: SandboxRecord): Promise<SandboxRecord> {
  const { id } = record
  await shiftOpen(context, record)
  const now = Date.now()
  const change: SandboxChange = {
    state: 'ready',
    pause: null,
    bootedAt: now,
    ...lifeOf(record, undefined, now),
  }
  const ready = await context.store.sandboxes.update(id, change)
  await context.driver.memory?.removeDump(dumpOf(id))
  return ready
}

/** It had stopped or was to stop, and whoever asked for it may ask again. */
async function finishPause(context: Context, record: SandboxRecord): Promise<void> {
  const change = await end(context, record)
  await finishStopped(context, { ...record, ...change }, change, 'asked')
}

async function keepFrozen(context: Context, record: SandboxRecord): Promise<void> {
  const { id } = record
  await context.driver.memory?.freeze(id)
  // A dump that was cut off, or not recorded, is void once its sandbox goes on.
  if (context.driver.memory?.noDumps === null) await context.driver.memory.removeDump(dumpOf(id))
  keptLives(context).set(id, await rebuild(context, record))
  await stay(context, record, record.pause)
}

async function keepStopped(context: Context, record: SandboxRecord, found: Found | undefined): Promise<void> {
  const { id, pause } = record
  if (pause === null || pause.memory === 'none') {
    const open = await context.store.executions.open(id)
    const change = found === undefined && open.length === 0 ? {} : await end(context, record)
    await stay(context, record, pause, change)
    return
  }
  const dumps = (await context.driver.memory?.listDumps()) ?? []
  const dumped = dumps.includes(dumpOf(id)) && record.state !== 'pausing'
  keptLives(context).set(id, await rebuild(context, record))
  if (!dumped) {
    await recordLoss(context, record)
    return
  }
  if (found !== undefined) await context.driver.stop(id)
  await stay(context, record, { ...pause, memory: 'disk' })
}

async function stay(
  context: Context,
  record: SandboxRecord,
  pause: PauseRecord | null,
  change: SandboxChange = {},
): Promise<void> {
  const same = record.state === 'paused' && pause?.memory === record.pause?.memory
  const all: SandboxChange = { ...change, state: 'paused', pause, expiresAt: null }
  const unchanged = same && Object.keys(change).length === 0
  rememberPaused(context, unchanged ? record : await context.store.sandboxes.update(record.id, all))
}

async function settleRestoring(context: Context, record: SandboxRecord): Promise<void> {
  const { id, pause, expiresAt, restoring } = record
  const change = await end(context, record)
  if (pause?.memory === 'disk') await context.driver.memory?.removeDump(dumpOf(id))
  const now = Date.now()
  const left = expiresAt === null ? null : Math.max(0, expiresAt - now)
  const stopped: PauseRecord = {
    depth: 'filesystem',
    memory: 'none',
    since: pause?.since ?? now,
    ttlLeftMs: pause === null ? left : pause.ttlLeftMs,
  }
  const stored = await context.store.sandboxes.update(id, {
    ...change,
    state: 'paused',
    pause: stopped,
    expiresAt: null,
  })
  const restored = await finishRestore(context, rememberPaused(context, stored))
  if (restoring?.resume !== true) return
  resumeNow(context, restored, { by: 'asked', auto: false }).catch((err) =>
    context.log.error({ sandbox: id, err }, 'a restored sandbox stays paused'),
  )
}

/** Ends what may run or wait, with its executions. */
async function end(context: Context, record: SandboxRecord): Promise<SandboxChange> {
  keptLives(context).set(record.id, await rebuild(context, record))
  return halt(context, record, haltForPause(record.id))
}
