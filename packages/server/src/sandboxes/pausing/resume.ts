import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import { parseDuration } from '../../core/duration.ts'
import { newEvent } from '../../core/events.ts'
import { transition } from '../../core/lifecycle.ts'
import type { SandboxRecord } from '../../core/records.ts'
import { changeSandbox } from '../change-sandbox.ts'
import { type Context, join } from '../context.ts'
import { untilDone } from '../eventually.ts'
import type { Live } from '../live.ts'
import { endedError, findSandbox, showSandbox } from '../lookup.ts'
import { finishRestore } from '../saved/put-back.ts'
import type { UseCases } from '../use-cases.ts'
import { deepen } from './deepen.ts'
import { reasonOf } from './finish-pause.ts'
import { rememberPaused } from './kept.ts'
import { settleLoss } from './lose-memory.ts'
import { doorOfRequest, type Need } from './noted.ts'
import { startPaused } from './start-paused.ts'
import { thawLive } from './thaw.ts'
import { inTurn } from './turn.ts'

export interface Wake {
  by: Need | 'asked'
  /** Nobody asked for it by name. */
  auto: boolean
  /** Milliseconds to live from now on, 0: without end. Not given: what was left when it was paused. */
  ttlMs?: number
}

export async function resumeSandbox(
  context: Context,
  ...[id, { ttl }]: Parameters<UseCases['resumeSandbox']>
): Promise<Sandbox> {
  const record = await findSandbox(context, id)
  const wake: Wake = {
    by: 'asked',
    auto: false,
    ...(ttl !== undefined && { ttlMs: parseDuration(ttl, 'ttl') }),
  }
  return showSandbox(context, (await resumeNow(context, record, wake)).record)
}

/**
 * Resumes a sandbox; of one that runs nothing is changed but its time to live, if one is given. Those who need it at the
 * same time share one resume.
 * @throws SandboxError `sandbox_ended`, `invalid_transition`, `resume_failed`
 */
export function resumeNow(context: Context, { id }: SandboxRecord, wake: Wake): Promise<Live> {
  const door = wake.auto ? doorOfRequest() : undefined
  const by = door ?? wake.by
  const work = () => inTurn(context, id, () => resume(context, id, { ...wake, by }))
  return wake.ttlMs === undefined ? join(context, `resume ${id}`, work) : work()
}

async function resume(context: Context, id: string, wake: Wake): Promise<Live> {
  const running = context.live.get(id)
  if (running?.record.state === 'ready') {
    if (wake.ttlMs !== undefined) await extend(context, running, wake.ttlMs)
    return running
  }
  if (context.stopping) throw new SandboxError('shutting_down', {})
  const began = performance.now()
  const paused = await finishRestoring(context, await findSandbox(context, id))
  if (paused.endedAt !== null) throw endedError(paused)
  const state = transition(paused, 'resume')
  const { sandboxes } = context.store
  const record = rememberPaused(context, await sandboxes.update(id, { state }, { durability: 'process' }))
  context.failpoint('resume:recorded')
  try {
    const commit = (change: Partial<SandboxRecord>) => commitResume(context, record, change, wake, began)
    if (record.pause?.memory === 'ram') return await thawLive(context, record, commit)
    return await startPaused(context, record, commit)
  } catch (error) {
    const told = await stayPaused(context, record, error)
    if (!(await hasLostMemory(context, record))) throw told
    await settleLoss(context, await findSandbox(context, id))
    return resume(context, id, wake)
  }
}

/** On cgroup v1 what was killed while it was frozen ends when it is thawed: its end came while it was being resumed. */
async function hasLostMemory({ driver }: Context, { id, pause }: SandboxRecord): Promise<boolean> {
  if (pause?.memory !== 'ram') return false
  const found = await driver.list().catch(() => null)
  return found !== null && !found.some((one) => one.id === id && one.running)
}

async function extend(context: Context, { record }: Live, ttlMs: number): Promise<void> {
  const change = lifeOf(record, ttlMs, Date.now())
  const event = newEvent(record.id, 'update', { changed: ['ttl'] })
  await changeSandbox(context, record, () => ({ change, events: [event] }))
  context.reschedule()
}

/** A checkpoint that is being put back comes first: nothing runs on files that are on their way. */
async function finishRestoring(context: Context, record: SandboxRecord): Promise<SandboxRecord> {
  if (record.restoring === null || record.state !== 'paused') return record
  return finishRestore(context, await deepen(context, record, 'filesystem', 'restore'))
}

/** From here on it runs, whatever becomes of this server. No power cut is survived by what runs, so that none has to be waited for. */
async function commitResume(
  context: Context,
  record: SandboxRecord,
  change: Partial<SandboxRecord>,
  { by, auto, ttlMs }: Wake,
  began: number,
): Promise<SandboxRecord> {
  const { id, pause, bootedAt } = record
  const ms = Math.round(performance.now() - began)
  const events = [newEvent(id, 'resume', { depth: pause?.depth, auto, by, ms })]
  if (bootedAt === null) events.unshift(newEvent(id, 'lifecycle:started', { runtime: record.runtime }))
  const now = Date.now()
  const ready = {
    ...change,
    state: transition(record, 'started'),
    pause: null,
    bootedAt: now,
    lastActiveAt: now,
    ...lifeOf(record, ttlMs, now),
  }
  const stored = await context.store.sandboxes.update(id, ready, { durability: 'process', events })
  context.failpoint('resume:resumed')
  context.log.info({ sandbox: id, by, ms }, 'sandbox resumed')
  return stored
}

/** A life that was over begins anew. */
export function lifeOf(
  { pause, ttlMs }: Pick<SandboxRecord, 'pause' | 'ttlMs'>,
  given: number | undefined,
  now: number,
): Partial<Pick<SandboxRecord, 'ttlMs' | 'expiresAt'>> {
  if (given === 0) return { ttlMs: null, expiresAt: null }
  if (given !== undefined) return { ttlMs: given, expiresAt: now + given }
  const left = pause?.ttlLeftMs ?? null
  if (left === null) return { expiresAt: null }
  if (left > 0) return { expiresAt: now + left }
  return { expiresAt: ttlMs === null ? null : now + ttlMs }
}

/** @returns the error for the caller */
async function stayPaused(context: Context, record: SandboxRecord, cause: unknown): Promise<SandboxError> {
  const { id } = record
  const reason = reasonOf(cause)
  context.log.warn({ sandbox: id, err: cause }, 'a resume failed')
  context.live.delete(id)
  const state = transition(record, 'paused')
  const options = { events: [newEvent(id, 'pause:failed', { what: 'resume', reason })] }
  const write = () => context.store.sandboxes.update(id, { state }, options)
  const stored = await untilDone(context, { sandbox: id }, write)
  rememberPaused(context, stored)
  context.reschedule()
  return new SandboxError('resume_failed', { sandbox: id, reason }, { cause })
}
