import type { PauseDepth } from '@caisson/protocol/resources'
import { transition } from '../../core/lifecycle.ts'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { SandboxChange } from '../../state/store.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import { dumpOf } from './dump.ts'
import { failed, finishStopped, type PauseReason } from './finish-pause.ts'
import { halt, haltForPause } from './halt.ts'
import { rememberPaused } from './kept.ts'

/** From the least deep to the deepest. */
const DEPTHS: readonly PauseDepth[] = ['memory', 'filesystem', 'workspace']

/** Makes the pause of a paused sandbox deeper. Who calls it has its turn. */
export async function deepen(
  context: Context,
  record: SandboxRecord,
  depth: PauseDepth,
  reason: PauseReason,
): Promise<SandboxRecord> {
  const { id, pause } = record
  if (pause === null || DEPTHS.indexOf(depth) <= DEPTHS.indexOf(pause.depth)) return record
  const { sandboxes } = context.store
  const deeper: PauseRecord = { ...pause, depth, memory: 'none' }
  const state = transition(record, 'pause')
  const options = { durability: 'process' } as const
  const pausing = rememberPaused(context, await sandboxes.update(id, { state, pause: deeper }, options))
  context.failpoint('pause:recorded')
  let change: SandboxChange = {}
  try {
    if (pause.memory !== 'none') change = await halt(context, pausing, haltForPause(id))
  } catch (error) {
    const back = { state: transition(pausing, 'paused'), pause }
    rememberPaused(context, await sandboxes.update(id, back, options))
    throw failed(id, depth, error, 'It is paused as before.')
  }
  if (pause.memory === 'disk')
    await nowOrLater(context, { sandbox: id }, async () => context.driver.memory?.removeDump(dumpOf(id)))
  return finishStopped(context, { ...pausing, ...change }, change, reason)
}
