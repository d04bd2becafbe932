import { setTimeout as delay } from 'node:timers/promises'
import { connectGuest } from '../guest/connect.ts'
import type { Guest } from '../guest/guest.ts'
import type { Context } from './context.ts'
import { sandboxLost } from './end-sandbox.ts'
import type { Live } from './live.ts'
import type { RunningExecution } from './running-execution.ts'

/** Pauses between attempts to reach an agent, in ms; the last one repeats. */
const RETRY_MS = [20, 50, 100, 250, 500, 1000, 2000, 5000, 10_000]
/** After so many attempts the sandbox is told to be unresponsive. */
const PATIENCE = 1

/** Connects to the agent of a sandbox and keeps the connection for as long as the sandbox lives. */
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
  live.connected(guest)
  void guest.closed.then(() => mend(context, live))
  return guest
}

/** The connection broke: finds out whether the sandbox still runs, and if so connects again and follows its executions. */
async function mend(context: Context, live: Live): Promise<void> {
  live.disconnected()
  for (let attempt = 0; isCurrent(context, live); attempt++) {
    try {
      const running = (await context.driver.list()).some((found) => found.id === live.id && found.running)
      if (!running) return await sandboxLost(context, live, null)
      const guest = await connectLive(context, live)
      await followHeld(context, live, guest)
      return
    } catch (error) {
      context.log.warn({ sandbox: live.id, err: error }, 'the agent does not answer')
      if (attempt === PATIENCE) live.unresponsive(error instanceof Error ? error.message : String(error))
      await delay(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], undefined, { ref: false })
    }
  }
}

/** False when the sandbox was ended, or its record replaced, while something waited. */
function isCurrent(context: Context, live: Live): boolean {
  return !context.stopping && context.live.get(live.id) === live
}

/** Picks up every execution that runs; those that the agent does not know can never be told. */
export async function followHeld(context: Context, live: Live, guest: Guest): Promise<void> {
  const held = new Set(guest.held)
  for (const running of live.executions.values()) {
    if (held.has(running.record.id)) await follow(context, running, guest)
    else running.lose('agent-lost', 'The agent of the sandbox was replaced and does not know this execution.')
  }
}

export async function follow(context: Context, running: RunningExecution, guest: Guest): Promise<void> {
  const sink = running.sink(() => context.failpoint('exec:output'))
  running.follow(await guest.attach(running.record.id, running.output.total, sink))
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
