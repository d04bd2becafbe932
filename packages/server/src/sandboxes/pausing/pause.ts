import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { PauseDepth, Sandbox } from '@caisson/protocol/resources'
import { newEvent } from '../../core/events.ts'
import { due } from '../../core/leases.ts'
import { transition } from '../../core/lifecycle.ts'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { SandboxChange } from '../../state/store.ts'
import { keepConnected } from '../connection.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import type { Live } from '../live.ts'
import { endedError, findSandbox, showSandbox } from '../lookup.ts'
import { assertOwnStorage } from '../own-storage.ts'
import { assertDepth, assertRoomBeneath } from '../pause-depth.ts'
import type { UseCases } from '../use-cases.ts'
import { deepen } from './deepen.ts'
import { failed, finish, finishStopped, type PauseReason, reasonOf } from './finish-pause.ts'
import { freezeLive } from './freeze.ts'
import { halt, haltForPause } from './halt.ts'
import { inTurn } from './turn.ts'

/** Reasons that are looked at again when it is the sandbox's turn. */
const LEASES: readonly PauseReason[] = ['idle-timeout', 'expired', 'session']
/** Requests under way and commands that are being started may end in so many ms; later they are broken off. */
const GRACE_MS = 1000
const LOOK_MS = 5

export async function pauseSandbox(
  context: Context,
  ...[id, { depth }]: Parameters<UseCases['pauseSandbox']>
): Promise<Sandbox> {
  const record = await findSandbox(context, id)
  return showSandbox(context, await pauseNow(context, record, depth ?? record.pauseDepth, 'asked'))
}

/**
 * Pauses a sandbox, or makes its pause deeper; one that is paused as deep already stays as it is. A pause for a timeout
 * that does not hold any more when it is the sandbox's turn changes nothing.
 * @throws SandboxError `not_supported`, `sandbox_ended`, `invalid_transition`, `pause_failed`
 */
export async function pauseNow(
  context: Context,
  { id }: SandboxRecord,
  depth: PauseDepth,
  reason: PauseReason,
): Promise<SandboxRecord> {
  assertDepth(context, depth)
  return inTurn(context, id, async () => {
    if (context.stopping) throw new SandboxError('shutting_down', {})
    const record = await findSandbox(context, id)
    if (record.endedAt !== null) throw endedError(record)
    if (record.mode === 'oneshot')
      throw new SandboxError('not_supported', {
        what: 'a pause',
        reason: 'it serves one command, and ends with it',
      })
    if (depth !== 'memory') assertOwnStorage(context, record, `a pause of depth "${depth}"`)
    if (depth === 'workspace') await assertRoomBeneath(context, record)
    if (record.state === 'paused') return deepen(context, record, depth, reason)
    const live = context.live.get(id)
    if (live === undefined || record.state !== 'ready')
      throw new SandboxError('invalid_transition', { sandbox: id, from: record.state, event: 'be paused' })
    if (LEASES.includes(reason) && !isDue(live)) return record
    return pauseLive(context, live, depth, reason)
  })
}

function isDue({ record, busy }: Live): boolean {
  const lease = due(record, busy)
  return lease !== null && lease.at <= Date.now()
}

async function pauseLive(
  context: Context,
  live: Live,
  depth: PauseDepth,
  reason: PauseReason,
): Promise<SandboxRecord> {
  const now = Date.now()
  const { expiresAt } = live.record
  const pause: PauseRecord = {
    depth,
    memory: depth === 'memory' ? 'ram' : 'none',
    since: now,
    ttlLeftMs: expiresAt === null ? null : Math.max(0, expiresAt - now),
  }
  const state = transition(live.record, 'pause')
  // At once, so that whoever comes now waits for the end of the pause.
  live.record = { ...live.record, state }
  try {
    live.renew(await context.store.sandboxes.update(live.id, { state, pause }, { durability: 'process' }))
    context.failpoint('pause:recorded')
    await settle(live)
    if (depth === 'memory') {
      await freezeLive(context, live)
      return await finish(context, live.record, {}, reason)
    }
    const change = await stop(context, live)
    return await finishStopped(context, { ...live.record, ...change }, change, reason)
  } catch (error) {
    // What has stopped stays paused.
    if (!context.live.has(live.id)) throw error
    throw await goOn(context, live, depth, error)
  }
}

/** Lets what is short come to its end. */
async function settle(live: Live): Promise<void> {
  const pending = () => [...live.executions.values()].some(({ record }) => record.state === 'pending')
  for (const end = performance.now() + GRACE_MS; performance.now() < end; await delay(LOOK_MS))
    if (live.requests === 0 && !live.mending && !pending()) return
}

/** Nothing of it may be ended by a failure to end it: what has stopped all the same is paused. */
async function stop(context: Context, live: Live): Promise<SandboxChange> {
  const how = haltForPause(live.id)
  return halt(context, live.record, how).catch(async (error) => {
    const found = await context.driver.list()
    if (found.some(({ id, running }) => id === live.id && running)) throw error
    return halt(context, live.record, how)
  })
}

/** It could not be paused: it runs on. @returns the error for the caller. */
async function goOn(context: Context, live: Live, depth: PauseDepth, error: unknown): Promise<SandboxError> {
  const { id } = live
  context.log.warn({ sandbox: id, depth, err: error }, 'a pause failed')
  const { store, driver } = context
  await nowOrLater(context, { sandbox: id }, async () => driver.memory?.thaw(id))
  for (const running of live.executions.values()) running.deadline?.go()
  const told = newEvent(id, 'pause:failed', { what: 'pause', depth, reason: reasonOf(error) })
  const state = transition({ id, state: 'pausing' }, 'started')
  await nowOrLater(context, { sandbox: id }, async () =>
    live.renew(await store.sandboxes.update(id, { state, pause: null }, { events: [told] })),
  )
  void keepConnected(context, live)
  context.reschedule()
  return failed(id, depth, error, 'It runs as before.')
}
