import { uptime } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Ending } from '@caisson/protocol/resources'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { ExecutionRecord, SandboxRecord } from '../core/records.ts'
import type { Guest } from '../guest/guest.ts'
import type { Found } from '../runtime/driver.ts'
import { removeCutImports } from './archives/oci/receive.ts'
import { connectLive, followHeld, giveUp, keepConnected } from './connection.ts'
import type { Context } from './context.ts'
import { endSandbox, whyLost } from './end-sandbox.ts'
import { nowOrLater } from './eventually.ts'
import { openOutput, remember } from './launch-execution.ts'
import { Live } from './live.ts'
import { tend } from './network/tend.ts'
import { seeOomKills } from './oom-kills.ts'
import { settlePaused } from './pausing/reconcile.ts'
import { RunningExecution } from './running-execution.ts'
import { finishRestore } from './saved/put-back.ts'
import { supervise } from './supervise.ts'
import { settleBuilds } from './templates/settle.ts'

/** Sandboxes that are picked up at the same time. */
const AT_ONCE = 16
/** What a command that has ended needs to be told, in ms. */
const ONESHOT_MS = 500

/**
 * The ordinary start: what the store remembers meets what the driver finds. Sandboxes that run are taken over with
 * their executions, work that was cut off is finished or undone, and what nobody remembers is removed.
 */
export async function reconcile(context: Context): Promise<void> {
  const { store, driver, layers } = context
  const records = await store.sandboxes.inStates(LIVE_STATES)
  for (const record of records) context.idBases.add(record.idBase)
  const found = new Map((await driver.list()).map((one) => [one.id, one]))
  const known = new Set(records.map((record) => record.id))

  await eachOf(records, (record) => settle(context, record, found.get(record.id)))
  const orphans = new Set([...found.keys(), ...(await layers.list())].filter((id) => !known.has(id)))
  await eachOf([...orphans], (id) => removeOrphan(context, id))
  // What the kernel has of rules is in force all the time; names need this server.
  await tend(context).catch((err) => context.log.error({ err }, 'networks could not be restored'))
  await removeCutImports(context)
  await settleBuilds(context)
  context.reschedule()
}

async function removeOrphan(context: Context, id: string): Promise<void> {
  context.log.warn({ sandbox: id }, 'removing what no record knows')
  await nowOrLater(context, { sandbox: id }, async () => {
    await context.driver.stop(id)
    await context.layers.remove(id)
  })
}

async function settle(context: Context, remembered: SandboxRecord, found: Found | undefined): Promise<void> {
  try {
    const record = await settleState(context, remembered, found)
    if (record !== null) await settleRunning(context, record, found)
  } catch (err) {
    context.log.error({ sandbox: remembered.id, err }, 'reconcile')
  }
}

/** @returns the record of a sandbox that is to run or to end, or null: it is paused. */
async function settleState(
  context: Context,
  remembered: SandboxRecord,
  found: Found | undefined,
): Promise<SandboxRecord | null> {
  const running = found?.running ?? false
  if (remembered.state === 'stopping' || remembered.state === 'creating') return remembered
  // Its processes were to end and have not: nobody was told of the restore, and nothing of it has begun.
  const record =
    running && remembered.restoring !== null ? await forgoRestore(context, remembered) : remembered
  if (record.state !== 'ready') {
    const settled = await settlePaused(context, record, found)
    if (settled === null && record.restoring !== null) await finishRestore(context, record)
    return settled
  }
  // A server died while it kept the sandbox still for a moment.
  if (found?.frozen) await context.driver.memory?.thaw(record.id)
  return record
}

function forgoRestore({ store }: Context, { id }: SandboxRecord): Promise<SandboxRecord> {
  return store.sandboxes.update(id, { restoring: null })
}

async function settleRunning(
  context: Context,
  record: SandboxRecord,
  found: Found | undefined,
): Promise<void> {
  if (record.state === 'stopping') return await finish(context, record, record.ending?.reason ?? 'deleted')
  // Nobody was told of a sandbox that was still being created.
  if (record.state === 'creating') return await finish(context, record, 'create-failed')
  if (!found?.running) return await finish(context, record, await whyGone(context, record))
  // What happened since is not known: a restart of the server counts as activity.
  const live = new Live({ ...record, lastActiveAt: Date.now() })
  await takeOver(context, live)
  if (record.mode === 'oneshot' || record.internal !== null) await endOneshot(context, live)
}

async function whyGone(context: Context, record: SandboxRecord): Promise<Ending['reason']> {
  return record.createdAt < bootedAt() ? 'host-lost' : whyLost(context, record.id, 0)
}

/** When this host was started, in milliseconds since the epoch. */
function bootedAt(): number {
  return Date.now() - uptime() * 1000
}

async function finish(
  context: Context,
  record: SandboxRecord,
  reason: Parameters<typeof endSandbox>[2],
): Promise<void> {
  const live = new Live(record)
  for (const execution of await context.store.executions.open(record.id)) {
    if (execution.state === 'pending') {
      await undo(context, execution)
      continue
    }
    const running = new RunningExecution(execution, await openOutput(context, execution))
    live.executions.set(execution.id, running)
    supervise(context, live, running)
  }
  context.live.set(record.id, live)
  await endSandbox(context, record, reason)
}

/** Connects to a sandbox that an earlier server started, and follows every execution from where its output was kept. */
async function takeOver(context: Context, live: Live): Promise<void> {
  const open = await context.store.executions.open(live.id)
  const guest = await tryConnect(context, live)
  const before = seeOomKills(context, live)
  for (const record of open) {
    if (record.state === 'pending' && !(await adopt(context, record, guest))) continue
    const running = new RunningExecution(record, await openOutput(context, record))
    running.oomKillsBefore = before
    live.executions.set(record.id, running)
    supervise(context, live, running)
  }
  context.live.set(live.id, live)
  if (guest === null) void keepConnected(context, live)
  // Connected but not followed is no connection: it is made anew.
  else await followHeld(context, live, guest).catch(() => live.drop())
}

/** Null: the agent does not answer now. Its sandbox is there all the same, and is connected as soon as it does. */
async function tryConnect(context: Context, live: Live): Promise<Guest | null> {
  try {
    return await connectLive(context, live)
  } catch (err) {
    context.log.warn({ sandbox: live.id, err }, 'the agent does not answer')
    giveUp(context, live, 'it did not answer when the server started')
    return null
  }
}

/**
 * An execution whose start nobody was told of. One that runs is kept, so that a repeated request finds it; one that
 * does not, or may lack some of its input, is undone, so that a repeated request starts it anew.
 */
async function adopt(context: Context, record: ExecutionRecord, guest: Guest | null): Promise<boolean> {
  const runs = guest?.held.includes(record.id) === true && !record.stdin
  if (runs) await remember(context, record, true)
  else await undo(context, record)
  return runs
}

async function undo(context: Context, { id }: ExecutionRecord): Promise<void> {
  await context.store.executions.remove(id)
  await context.outputs.remove(id)
}

/** It has lost the request that it served; a command that had ended by then keeps its ending. */
async function endOneshot(context: Context, live: Live): Promise<void> {
  const ended = [...live.executions.values()].map((running) => running.ended)
  const abort = new AbortController()
  await Promise.race([Promise.all(ended), delay(ONESHOT_MS, undefined, abort)]).catch(() => {})
  abort.abort()
  await endSandbox(context, live.record, 'server-restarted')
}

async function eachOf<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}
