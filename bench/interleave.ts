import type { Peer } from './peers/peer.ts'
import { addSample, type Series } from './stats.ts'

const WARM_UP = 3

/**
 * Takes turns, so that whatever else the machine does hits all alike; who begins changes from round to round.
 * Three rounds beforehand are not counted. Ends early when the time is up.
 *
 * @returns samples by name, in milliseconds
 */
export async function interleave(
  subjects: readonly Peer[],
  rounds: number,
  budgetMs: number,
): Promise<Series> {
  const series: Series = Object.fromEntries(subjects.map(({ name }) => [name, []]))
  const end = performance.now() + budgetMs
  for (let round = -WARM_UP; round < rounds && performance.now() < end; round++) {
    for (let i = 0; i < subjects.length; i++) {
      const { name, every = 1, run } = subjects[(i + round + WARM_UP) % subjects.length]!
      if (round % every !== 0) continue
      const ms = await run()
      if (round >= 0) addSample(series, name, ms)
    }
  }
  return series
}

/** Milliseconds that `work` takes, beside what it gives. */
export async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const since = performance.now()
  const result = await work()
  return { ms: performance.now() - since, result }
}
