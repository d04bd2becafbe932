import { uptime } from 'node:os'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { SandboxRecord } from '../core/records.ts'
import { connectLive, follow } from './connection.ts'
import type { Context } from './context.ts'
import { endSandbox } from './end-sandbox.ts'
import { Live } from './live.ts'
import { oomKills } from './oom-kills.ts'
import { RunningExecution } from './running-execution.ts'
import { launch } from './start-execution.ts'
import { supervise } from './supervise.ts'

/** Sandboxes that are picked up at the same time. */
const AT_ONCE = 16

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

  await eachOf(records, (record) => settle(context, record, found.get(record.id)?.running ?? false))
  const orphans = new Set([...found.keys(), ...(await layers.list())].filter((id) => !known.has(id)))
  await eachOf([...orphans], async (id) => {
    context.log.warn({ sandbox: id }, 'removing what no record knows')
    await driver.stop(id)
    await layers.remove(id)
  })
  context.reschedule()
}

async function settle(context: Context, record: SandboxRecord, running: boolean): Promise<void> {
  try {
    if (record.state === 'stopping') return await finish(context, record, record.ending?.reason ?? 'deleted')
    // Nobody was told of a sandbox that was still being created; a one-shot sandbox has lost the request it served.
    if (record.state === 'creating') return await finish(context, record, 'create-failed')
    if (!running)
      return await finish(context, record, record.createdAt < bootedAt() ? 'host-lost' : 'agent-lost')
    // What happened since is not known: a restart of the server counts as activity.
    const live = new Live({ ...record, lastActiveAt: Date.now() })
    context.live.set(record.id, live)
    await takeOver(context, live)
    if (record.mode === 'oneshot') await endSandbox(context, record, 'server-restarted')
  } catch (err) {
    context.log.error({ sandbox: record.id, err }, 'reconcile')
  }
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
    const running = new RunningExecution(
      execution,
      await context.outputs.writer(execution.id, execution.outputLimit),
    )
    live.executions.set(execution.id, running)
    supervise(context, live, running)
  }
  context.live.set(record.id, live)
  await endSandbox(context, record, reason)
}

/** Connects to a sandbox that an earlier server started, and follows every execution from where its output was kept. */
async function takeOver(context: Context, live: Live): Promise<void> {
  const open = await context.store.executions.open(live.id)
  const before = oomKills(context, live.id)
  for (const record of open) {
    const running = new RunningExecution(record, await context.outputs.writer(record.id, record.outputLimit))
    running.oomKillsBefore = before
    live.executions.set(record.id, running)
  }
  const guest = await connectLive(context, live)
  const held = new Set(guest.held)
  for (const running of [...live.executions.values()]) {
    if (held.has(running.record.id)) await follow(context, running, guest)
    else if (running.record.state === 'pending') await relaunch(context, live, running)
    else running.lose('agent-lost', 'The agent of the sandbox does not know this execution any more.')
    supervise(context, live, running)
  }
  for (const id of guest.held) if (!live.executions.has(id)) await discard(context, live, id)
}

/** The server died between recording the execution and starting it. */
async function relaunch(context: Context, live: Live, running: RunningExecution): Promise<void> {
  try {
    await launch(context, live, running)
    if (running.record.stdin) running.handle?.closeStdin()
  } catch (error) {
    running.lose(
      'cancelled',
      `It was never started: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** An execution that ended and was stored, but not yet forgotten by the agent when the server died. */
async function discard(context: Context, live: Live, id: string): Promise<void> {
  const guest = await live.guest()
  const handle = await guest.attach(id, 0, { write: () => {} })
  handle.exited.catch(() => {})
  handle.outputClosed.catch(() => {})
  handle.forget()
  context.log.debug({ sandbox: live.id, execution: id }, 'forgotten')
}

async function eachOf<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}
