import { setTimeout as delay } from 'node:timers/promises'
import { newEvent } from '../core/events.ts'
import { connectGuest } from '../guest/connect.ts'
import type { Guest } from '../guest/guest.ts'
import type { Context } from './context.ts'
import { sandboxLost } from './end-sandbox.ts'
import type { Live } from './live.ts'
import type { RunningExecution } from './running-execution.ts'

/** Pauses between attempts to reach an agent, in ms; the last one repeats. */
const RETRY_MS = [20, 50, 100, 250, 500, 1000, 2000, 5000, 10_000]
/** After so many attempts more the sandbox is told to be unresponsive. */
const PATIENCE = 1
/** A connection that lasted so long was a good one, in ms. */
const STEADY_MS = 1000
/** Where in RETRY_MS to begin when the last connection was not. */
const HASTY_ATTEMPT = 4

/** Connects to the agent of a sandbox and, once the sandbox is `ready`, keeps it connected for as long as it lives. */
export async function connectLive(context: Context, live: Live, signal?: AbortSignal): Promise<Guest> {
  const deadline = AbortSignal.timeout(context.config.agentDeadlineMs)
  const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  let guest: Guest
  try {
    const channel = await context.driver.connect(live.id, either)
    guest = await connectGuest(channel, { sandbox: live.id, signal: either })
  } catch (error) {
    if (deadline.aborted && !signal?.aborted)
      throw live.lost(`no greeting within ${context.config.agentDeadlineMs} ms`)
    throw error
  }
  const mended = !live.healthy
  live.connected(guest)
  if (mended) void tellHealth(context, live, 'responsive')
  void guest.closed.then(() => {
    live.disconnected(guest)
    return keepConnected(context, live)
  })
  return guest
}

/**
 * Connects a sandbox whose connection broke or was never made, and follows its executions; one that runs no more is
 * ended. Nothing to do for one that is connected.
 */
export async function keepConnected(context: Context, live: Live): Promise<void> {
  if (live.mending) return
  live.mending = true
  try {
    // A connection that broke at once is no reason to hurry.
    const hasty = live.sinceConnected < STEADY_MS ? HASTY_ATTEMPT : 0
    for (let attempt = hasty; isCurrent(context, live) && !live.reached; attempt++) {
      if (attempt > 0)
        await delay(RETRY_MS[Math.min(attempt, RETRY_MS.length) - 1], undefined, { ref: false })
      const failure = await mend(context, live)
      if (failure !== null && attempt >= hasty + PATIENCE) giveUp(context, live, failure)
    }
  } finally {
    live.mending = false
  }
}

/** Calls fail from now on until the agent answers again. */
export function giveUp(context: Context, live: Live, reason: string): void {
  const news = live.healthy
  live.unresponsive(reason)
  if (news) void tellHealth(context, live, 'unresponsive', { reason })
}

/** Health is not in the record, but its changes are events of the sandbox. */
async function tellHealth(
  context: Context,
  live: Live,
  type: 'responsive' | 'unresponsive',
  payload: Record<string, unknown> = {},
): Promise<void> {
  if (live.record.state !== 'ready') return
  const events = [newEvent(live.id, type, payload)]
  await context.store.sandboxes.update(live.id, {}, { durability: 'process', events }).then(
    (stored) => live.renew(stored),
    (err) => context.log.error({ sandbox: live.id, err }, 'an event could not be stored'),
  )
}

/** @returns why it did not succeed, or null. */
async function mend(context: Context, live: Live): Promise<string | null> {
  try {
    const running = (await context.driver.list()).some((found) => found.id === live.id && found.running)
    if (running) await connectAndFollow(context, live)
    else await sandboxLost(context, live, null)
    return null
  } catch (error) {
    // Of one that is being ended nobody expects an answer.
    if (isCurrent(context, live))
      context.log.warn({ sandbox: live.id, err: error }, 'the agent does not answer')
    // Connected but not followed is no connection: the next attempt begins from the start.
    live.drop()
    return error instanceof Error ? error.message : String(error)
  }
}

async function connectAndFollow(context: Context, live: Live): Promise<void> {
  const guest = await connectLive(context, live)
  // It may have been paused meanwhile, and is to be left alone.
  if (isCurrent(context, live)) await followHeld(context, live, guest)
  else live.drop()
}

/** False when the sandbox is being paused or ended, or its record was replaced, while something waited. */
function isCurrent(context: Context, live: Live): boolean {
  return !context.stopping && context.live.get(live.id) === live && live.record.state === 'ready'
}

/**
 * Picks up every execution that runs; those that the agent does not know can never be told, those that nobody knows are ended.
 * @param strays what becomes of these: an agent that came out of a dump holds executions of another sandbox, which go on
 *   and are nobody's
 */
export async function followHeld(
  context: Context,
  live: Live,
  guest: Guest,
  strays: 'ended' | 'let go' = 'ended',
): Promise<void> {
  const held = new Set(guest.held)
  // Those that are pending now wait for this connection to be started on it; the agent cannot hold them yet.
  const started = [...live.executions.values()].filter((running) => running.record.state !== 'pending')
  const unknown = guest.held.filter((id) => !live.executions.has(id))
  for (const running of started) {
    if (held.has(running.record.id)) await follow(context, running, guest)
    else running.lose('agent-lost', 'The agent of the sandbox does not know this execution any more.')
  }
  for (const id of unknown)
    if (strays === 'ended') await discard(context, live, guest, id)
    else (await guest.attach(id, 0, { write: () => {} })).forget()
}

async function follow(context: Context, running: RunningExecution, guest: Guest): Promise<void> {
  const sink = running.sink(() => context.failpoint('exec:output'))
  running.follow(await guest.attach(running.record.id, running.output.total, sink))
}

/**
 * The agent holds an execution that nobody watches: it ended, was stored, and the connection broke before the agent was
 * told; or its start failed for the caller, who must not find it running later.
 */
async function discard(context: Context, live: Live, guest: Guest, id: string): Promise<void> {
  const stored = await context.store.executions.get(id)
  const handle = await guest.attach(id, 0, { write: () => {} })
  // The processes that an ended one has left behind are the sandbox's own business.
  if (stored === null) await handle.signal('SIGKILL', 'tree').catch(() => {})
  handle.forget()
  if (stored === null) await context.outputs.remove(id)
  context.log.debug({ sandbox: live.id, execution: id }, 'forgotten')
}

/**
 * Asks the agent, and fails when there is no answer in time, so that no call hangs. The connection is then given up and
 * made anew: its agent may be stopped, or too short of CPU to greet.
 */
export async function ask<T>(
  context: Context,
  live: Live,
  work: (guest: Guest, signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const ms = context.config.agentDeadlineMs
  const late = new AbortController()
  const tooLate = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    tooLate.reject(live.lost(`no answer within ${ms} ms`))
    late.abort()
    live.drop()
  }, ms)
  const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal])
  try {
    const answer = (async () => work(await live.guest(), either))()
    return await Promise.race([answer, tooLate.promise])
  } finally {
    clearTimeout(timer)
  }
}
