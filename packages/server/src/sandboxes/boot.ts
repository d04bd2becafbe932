import { SandboxError } from '@caisson/protocol/errors'
import type { RootPlan, Stage } from '../core/plan.ts'
import type { SandboxRecord } from '../core/records.ts'
import type { Undo } from '../undo.ts'
import { connectLive } from './connection.ts'
import type { Context } from './context.ts'
import { nowOrLater } from './eventually.ts'
import { Live } from './live.ts'
import { attach, forget, networksOf } from './network/attach.ts'
import { Stopwatch } from './stopwatch.ts'

export interface BootOptions {
  signal?: AbortSignal | undefined
  /** Where its processes come from. */
  dump?: string | undefined
  /** What goes on in these processes; not given: nothing yet. */
  live?: Live | undefined
}

export interface Booted {
  live: Live
  /** Of the network's rules, as they are in force. */
  rulesDigest: string | null
  stages: Stage[]
}

/**
 * Starts what runs in a sandbox, on a root that is there: its first process or, with `dump`, the processes that it had.
 * Resolves when its agent answers and its network is in force. How to undo it is put on the caller's stack.
 */
export async function boot(
  context: Context,
  record: SandboxRecord,
  root: RootPlan,
  undo: Undo,
  { signal, dump, live = new Live(record) }: BootOptions = {},
): Promise<Booted> {
  const { driver, failpoint } = context
  const { id, idBase, volumes, granted: limits } = record
  const clock = new Stopwatch()
  undo.add(() => nowOrLater(context, { sandbox: id }, () => driver.stop(id)))
  const plan = {
    ...{ id, hostname: hostnameOf(record), idBase, root, limits },
    ...(volumes.length > 0 && { volumes }),
    ...(dump !== undefined && { dump }),
  }
  clock.add(await driver.start(plan, signal))
  failpoint(record.state === 'resuming' ? 'resume:started' : 'create:started')
  clock.lap('driver')
  live.record = record
  undo.add(() =>
    live.ended(new SandboxError('sandbox_ended', { sandbox: id, reason: 'it could not be started' })),
  )
  undo.add(() => forget(context, id))
  const [, attached] = await bothOver(connectLive(context, live, signal), attachTimed(context, record))
  failpoint(record.state === 'resuming' ? 'resume:connected' : 'create:connected')
  clock.add(attached.stages)
  clock.lap('agent')
  return { live, rulesDigest: attached.rulesDigest, stages: clock.stages }
}

/** The first sandbox with a network waits for the router; asked early, it waits less. A failure is told where the network is needed. */
export function foreseeNetwork(context: Context, { network }: SandboxRecord): void {
  if (network === null) return
  networksOf(context)
    .router.open()
    .catch(() => {})
}

function hostnameOf({ id, name }: SandboxRecord): string {
  return name ?? id.replaceAll('_', '-')
}

/** The network is made while the agent greets. */
async function attachTimed(
  context: Context,
  { id, network }: SandboxRecord,
): Promise<Pick<SandboxRecord, 'rulesDigest'> & { stages: Stage[] }> {
  if (network === null) return { rulesDigest: null, stages: [] }
  const began = performance.now()
  const rulesDigest = await attach(context, id, network).catch((cause) => {
    if (!SandboxError.is(cause, 'internal')) throw cause
    const reason = cause.details.request
    throw new SandboxError('create_failed', { sandbox: id, stage: 'network', reason }, { cause })
  })
  return { rulesDigest, stages: [{ name: 'network', ms: performance.now() - began }] }
}

/** Both results, or the first failure when neither is under way any more, so that nothing is undone too early. */
async function bothOver<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return Promise.all([a, b])
}
