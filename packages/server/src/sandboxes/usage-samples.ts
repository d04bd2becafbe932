import { SandboxError } from '@caisson/protocol/errors'
import type { UsageSample } from '@caisson/protocol/resources'
import type { Usage } from '../runtime/driver.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import { findSandbox } from './lookup.ts'
import type { UseCases } from './use-cases.ts'

/** Samples of one sandbox that are kept, the newest: two hours of them when nobody asks. */
const KEPT = 120
/** Milliseconds: who asks more often gets a sample for themselves that is not kept. */
const APART = 5000

interface Sample {
  at: number
  cpuUsec: number
  cpuPercent: number
  memoryBytes: number
  pids: number
  diskBytes: number | null
}

/** By sandbox, oldest first; gone with the server. */
const histories = new WeakMap<Context, Map<string, Sample[]>>()

function historyOf(context: Context): Map<string, Sample[]> {
  const known = histories.get(context) ?? new Map<string, Sample[]>()
  histories.set(context, known)
  return known
}

/** Remembers what a sandbox uses now, its CPU time counted from its very first start. */
export function keepSample(context: Context, live: Live, usage: Usage, diskBytes: number | null): void {
  const history = historyOf(context)
  const samples = history.get(live.id) ?? []
  history.set(live.id, samples)
  const last = samples.at(-1)
  if (last !== undefined && Date.now() - last.at < APART) return
  samples.push(toSample(live, last, usage, diskBytes))
  if (samples.length > KEPT) samples.shift()
}

/** Forgets sandboxes that neither run nor are paused. */
export function forgetSamples(context: Context): void {
  const history = historyOf(context)
  for (const id of history.keys()) if (!context.live.has(id) && !context.paused.has(id)) history.delete(id)
}

/**
 * What a sandbox used, oldest first; of one that runs, what it uses now comes last.
 * @throws SandboxError `sandbox_not_found`, `not_supported`
 */
export async function listUsage(
  context: Context,
  ...[idOrName, { start, end }]: Parameters<UseCases['listUsage']>
): Promise<UsageSample[]> {
  const { driver } = context
  if (driver.usage === undefined)
    throw new SandboxError('not_supported', {
      what: 'Usage',
      reason: `the ${driver.name} driver does not measure`,
    })
  const record = await findSandbox(context, idOrName)
  const kept = historyOf(context).get(record.id) ?? []
  const now = await sampleNow(context, record.id, kept.at(-1))
  const samples = historyOf(context).get(record.id) ?? kept
  const from = start === undefined ? Number.NEGATIVE_INFINITY : Date.parse(start)
  const to = end === undefined ? Number.POSITIVE_INFINITY : Date.parse(end)
  return [...samples, ...(now === null ? [] : [now])]
    .filter(({ at }) => at >= from && at <= to)
    .map(({ at, cpuUsec: _, ...sample }) => ({
      at: new Date(at).toISOString(),
      ...sample,
      cpuMillis: record.granted.cpuMillis,
      memoryLimitBytes: record.granted.memoryBytes,
      diskLimitBytes: record.granted.diskBytes,
    }))
}

/** The kernel counts from the last start; what was before is remembered. */
export async function usageOf({ driver }: Context, { id, record }: Live): Promise<Usage | null> {
  const usage = await driver.usage?.(id).catch(() => null)
  if (!usage) return null
  return { ...usage, cpuUsec: usage.cpuUsec + (record.trafficBefore.cpuUsec ?? 0) }
}

/** null: it does not run. A sample long enough after the last one is kept. */
async function sampleNow(context: Context, id: string, last: Sample | undefined): Promise<Sample | null> {
  const live = context.live.get(id)
  const usage = live && (await usageOf(context, live))
  if (!live || !usage) return null
  const disk = (await context.layers.usage?.())?.roots.get(id) ?? null
  if (last !== undefined && Date.now() - last.at < APART) return toSample(live, last, usage, disk)
  keepSample(context, live, usage, disk)
  return null
}

function toSample(live: Live, last: Sample | undefined, usage: Usage, diskBytes: number | null): Sample {
  const at = Date.now()
  const { cpuUsec, memoryBytes, pids } = usage
  const { bootedAt, trafficBefore } = live.record
  const before = last ?? { at: bootedAt ?? live.since, cpuUsec: trafficBefore.cpuUsec ?? 0 }
  const elapsedUsec = Math.max(1, at - before.at) * 1000
  const cpuPercent = Math.round((10_000 * (cpuUsec - before.cpuUsec)) / elapsedUsec) / 100
  return { at, cpuUsec, cpuPercent, memoryBytes, pids, diskBytes }
}
