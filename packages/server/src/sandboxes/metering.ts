import { setImmediate } from 'node:timers/promises'
import type { UsageRecord } from '../core/records.ts'
import type { Usage } from '../runtime/driver.ts'
import { type Context, join } from './context.ts'
import type { Live } from './live.ts'
import { readTraffic, sumTraffic, type TrafficMap } from './network/traffic.ts'
import { forgetSamples, keepSample, usageOf } from './usage-samples.ts'

const HOUR_MS = 3_600_000
const SAMPLE_MS = 60_000
/** Sandboxes that are looked at in one turn of the event loop. */
const AT_ONCE = 32

type Amounts = Pick<UsageRecord, 'executions' | 'cpuUsec' | 'memoryByteSec' | 'egressBytes'>

/** What only rises. */
interface Counts {
  executions: number
  egressBytes: number
}

/**
 * What is stored of one sandbox's use. The kernel's and the record's counts only rise, so that the difference to what
 * is stored is what is new, whoever stored it: an earlier server's part is not counted twice.
 */
export class Meter {
  #executions: number
  #cpuUsec: number
  #egressBytes: number
  #at: number
  /** When the amounts before the last ones were taken. */
  #before: number

  constructor(stored: Counts & { cpuUsec: number }, at: number) {
    this.#executions = stored.executions
    this.#cpuUsec = stored.cpuUsec
    this.#egressBytes = stored.egressBytes
    this.#at = this.#before = at
  }

  /** What came since the last time, `usage` being null where nobody can tell it. */
  advance(usage: Usage | null, counts: Counts, now: number): Amounts {
    const cpuUsec = Math.max(usage?.cpuUsec ?? 0, this.#cpuUsec)
    const amounts = {
      executions: Math.max(0, counts.executions - this.#executions),
      cpuUsec: cpuUsec - this.#cpuUsec,
      memoryByteSec: ((usage?.memoryBytes ?? 0) * Math.max(0, now - this.#at)) / 1000,
      egressBytes: Math.max(0, counts.egressBytes - this.#egressBytes),
    }
    this.#executions += amounts.executions
    this.#cpuUsec = cpuUsec
    this.#egressBytes += amounts.egressBytes
    this.#before = this.#at
    this.#at = now
    return amounts
  }

  /** Memory is not counted from the last time up to `now`. */
  skip(now: number): void {
    this.#before = this.#at = now
  }

  /** These amounts could not be stored: they come again with the next ones. */
  takeBack(amounts: Amounts): void {
    this.#executions -= amounts.executions
    this.#cpuUsec -= amounts.cpuUsec
    this.#egressBytes -= amounts.egressBytes
    this.#at = this.#before
  }
}

/** Stores the use of every sandbox each minute. @returns the undo. */
export function meterUsage(context: Context): () => void {
  const work = () =>
    sampleAll(context).catch((err) => context.log.error({ err }, 'usage could not be stored'))
  const timer = setInterval(work, SAMPLE_MS).unref()
  return () => clearInterval(timer)
}

/** The same as `sample`, and keeps what all use now, for who looks at it later. */
async function sampleAll(context: Context): Promise<void> {
  forgetSamples(context)
  const disks = context.live.size === 0 ? undefined : (await context.layers.usage?.())?.roots
  await store(context, [...context.live.values()], await readTraffic(context), (live, usage) =>
    keepSample(context, live, usage, disks?.get(live.id) ?? null),
  )
}

/** Stores what all sandboxes have used up to now. */
export function sample(context: Context): Promise<void> {
  return join(context, 'sample usage', async () =>
    store(context, [...context.live.values()], await readTraffic(context)),
  )
}

/** Stores what a sandbox has used, before its counters go; an end is not held up by a failure. */
export async function meterLast(context: Context, live: Live, traffic: TrafficMap): Promise<void> {
  await store(context, [live], traffic).catch((err) =>
    context.log.error({ sandbox: live.id, err }, 'the last usage could not be stored'),
  )
}

/** A sandbox runs again: it has used nothing while it was paused. */
export function skipPause(context: Context, live: Live): void {
  live.meter ??= open(context, live)
  live.meter.then(
    (meter) => meter.skip(Date.now()),
    (err) => context.log.warn({ sandbox: live.id, err }, 'its use counts from later on'),
  )
}

async function store(
  context: Context,
  sandboxes: Live[],
  traffic: TrafficMap,
  seen: (live: Live, usage: Usage) => void = () => {},
): Promise<void> {
  const taken: { meter: Meter; record: UsageRecord }[] = []
  // What serves the server itself is nobody's use.
  const counted = sandboxes.filter(({ record }) => record.internal === null)
  for (const [index, live] of counted.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await setImmediate()
    const one = await take(context, live, traffic, seen)
    if (one !== null) taken.push(one)
  }
  if (taken.length === 0) return
  try {
    await context.store.usage.add(taken.map(({ record }) => record))
  } catch (error) {
    for (const { meter, record } of taken) meter.takeBack(record)
    throw error
  }
}

async function take(
  context: Context,
  live: Live,
  traffic: TrafficMap,
  seen: (live: Live, usage: Usage) => void,
): Promise<{ meter: Meter; record: UsageRecord } | null> {
  live.meter ??= open(context, live)
  const meter = await live.meter
  const usage = await usageOf(context, live)
  if (usage !== null) seen(live, usage)
  const now = Date.now()
  const egressBytes = sumTraffic(live, traffic).up
  const amounts = meter.advance(usage, { executions: live.record.executionCount, egressBytes }, now)
  if (Object.values(amounts).every((amount) => amount === 0)) return null
  const { id, projectId, orgId } = live.record
  const hour = now - (now % HOUR_MS)
  return { meter, record: { hour, sandboxId: id, projectId, orgId, ...amounts } }
}

/** A failure is not kept: the next sample asks again. */
async function open(context: Context, live: Live): Promise<Meter> {
  try {
    return new Meter(await context.store.usage.ofSandbox(live.id), live.since)
  } catch (error) {
    live.meter = null
    throw error
  }
}
