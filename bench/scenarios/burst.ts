import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'caisson'
import { Sandbox } from 'caisson'
import { type Footprint, footprint } from '../data-directory.ts'
import { timed } from '../interleave.ts'
import type { Outcome, Scenario, Target } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { addSample, type Series, summarize } from '../stats.ts'

const IN_TURN = 'create, one after the other'
const SEQUENTIAL = 20
const SIZES = [50, 100]
const SETTLE_MS = 10_000

/** Many creates at the same instant: each is timed from that instant. */
export const burst: Scenario = {
  name: 'burst',
  title: 'Bursts of creates',
  async run(run): Promise<Outcome> {
    await using server = await BenchServer.start(run.workDir)
    const { client, dataDir } = server
    // The first sandbox makes what stays: the instance's own cgroups, the connection to the launcher.
    await (await Sandbox.create({ client })).delete()
    const before = footprint(dataDir)
    const sequential: number[] = []
    const series: Series = { [IN_TURN]: sequential }
    let failed = 0
    for (let round = 1; round <= (run.quick ? 1 : 3); round++) {
      for (const size of SIZES) {
        // In turn with the bursts: what a file system has just deleted makes it slower for both.
        sequential.push(...(await createInTurn(client)))
        run.progress(`burst of ${size}, ${round}`)
        const { times, failures } = await createAtOnce(client, size)
        for (const ms of times) addSample(series, nameOf(size), ms)
        failed += failures
      }
    }
    const left = await leftovers(dataDir, before)
    return {
      series,
      targets: [
        { promise: 'bursts: creates that failed', value: failed, limit: 0, unit: '' },
        ...SIZES.map((size) => againstSequential(size, series)),
        { promise: 'bursts: things left behind after delete', value: left.length, limit: 0, unit: '' },
      ],
      notes: [
        `Before: ${describe(before)}. ${left.length === 0 ? 'After: the same.' : `More after: ${left.join(', ')}.`}`,
      ],
    }
  },
}

const nameOf = (size: number) => `create, burst of ${size}`

/** All of a burst's work done by all cores, as fast as one create after the other, is 1. */
function againstSequential(size: number, series: Series): Target {
  const allowed = (size * summarize(series[IN_TURN] ?? []).p50) / availableParallelism()
  return {
    promise: `burst of ${size}: p95 against ${size} × sequential p50 ÷ cores`,
    value: summarize(series[nameOf(size)] ?? []).p95 / allowed,
    limit: 1,
    unit: '×',
  }
}

async function createInTurn(client: Client): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < SEQUENTIAL; i++) {
    const { ms, result } = await timed(() => Sandbox.create({ client }))
    times.push(ms)
    await result.delete()
  }
  return times
}

async function createAtOnce(client: Client, size: number): Promise<{ times: number[]; failures: number }> {
  const settled = await Promise.allSettled(
    Array.from({ length: size }, () => timed(() => Sandbox.create({ client }))),
  )
  const made = settled.filter((one) => one.status === 'fulfilled').map((one) => one.value)
  await Promise.all(made.map(({ result }) => result.delete()))
  return { times: made.map(({ ms }) => ms), failures: size - made.length }
}

/** Roots are removed in the background, so they get some time. */
async function leftovers(dataDir: string, before: Footprint): Promise<string[]> {
  const more = () => {
    const after = footprint(dataDir)
    return (Object.keys(before) as (keyof Footprint)[])
      .filter((name) => after[name] > before[name])
      .map((name) => `${after[name] - before[name]} ${name}`)
  }
  for (const end = Date.now() + SETTLE_MS; Date.now() < end && more().length > 0; ) await sleep(100)
  return more()
}

const describe = (found: Footprint): string =>
  Object.entries(found)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')
