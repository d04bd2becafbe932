import { SandboxError } from '@caisson/protocol/errors'
import { newEvent } from '../../core/events.ts'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { findSandbox } from '../lookup.ts'
import { dumpOf } from './dump.ts'
import { halt } from './halt.ts'
import { rememberPaused } from './kept.ts'
import { inTurn } from './turn.ts'

/** The memory of a paused sandbox has gone by itself: what is left of it are its files. */
export function loseMemory(context: Context, id: string): Promise<void> {
  return inTurn(context, id, async () => {
    const record = await findSandbox(context, id)
    const found = (await context.driver.list()).find((one) => one.id === id)
    if (record.state !== 'paused' || record.pause?.memory !== 'ram' || found?.running) return
    await settleLoss(context, record)
  })
}

/**
 * Memory that is not in RAM any more is on disk, when a launcher that died had it put there to the end, or lost. For who
 * has the sandbox's turn.
 */
export async function settleLoss(context: Context, record: SandboxRecord): Promise<void> {
  const { id, pause } = record
  const { driver, store } = context
  const dumps = driver.memory?.noDumps === null ? await driver.memory.listDumps() : []
  // An earlier pause's dump is removed before anything is frozen: this one is of these processes.
  if (pause === null || !dumps.includes(dumpOf(id))) {
    await recordLoss(context, record)
    return
  }
  await driver.stop(id)
  const onDisk: PauseRecord = { ...pause, memory: 'disk' }
  const events = [newEvent(id, 'memory:saved', { bytes: null })]
  rememberPaused(context, await store.sandboxes.update(id, { pause: onDisk, rulesDigest: null }, { events }))
}

/** The same for who has the sandbox's turn and knows that nothing of it runs. */
export async function recordLoss(context: Context, record: SandboxRecord): Promise<SandboxRecord> {
  const { id, pause } = record
  const lost: PauseRecord = {
    since: pause?.since ?? Date.now(),
    ttlLeftMs: pause?.ttlLeftMs ?? null,
    depth: 'filesystem',
    memory: 'none',
  }
  const change = await halt(context, record, {
    ending: 'host-lost',
    message: 'What ran in the paused sandbox was ended from outside, as by a restart of the host.',
    error: new SandboxError('agent_lost', { sandbox: id, reason: 'its memory is lost' }),
    failpoint: 'pause:stopped',
  })
  const state = 'paused' as const
  const events = [newEvent(id, 'memory:lost', {})]
  context.log.warn({ sandbox: id }, 'the memory of a paused sandbox is lost; its files are there')
  const stored = await context.store.sandboxes.update(
    id,
    { ...change, state, pause: lost, expiresAt: null },
    { events },
  )
  return rememberPaused(context, stored)
}
