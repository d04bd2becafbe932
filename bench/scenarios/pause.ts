import { Sandbox } from 'caisson'
import { interleave, timed } from '../interleave.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { summarize } from '../stats.ts'

const WARM = 'exec in a sandbox that runs'
const WOKEN = 'exec in one that is paused with its memory'
const FORKS = 100

/** What a pause costs the command that ends it, and a hundred copies at once. */
export const pause: Scenario = {
  name: 'pause',
  title: 'A command that resumes its sandbox; a hundred forks',
  async run(run): Promise<Outcome> {
    await using stack = new AsyncDisposableStack()
    const server = stack.use(
      await BenchServer.start(run.workDir, { CAISSON_POOL_SIZE: '8Gi', CAISSON_DUMP_AFTER: '1h' }),
    )
    const { client } = server
    const sandbox = stack.use(await Sandbox.create({ client, idleTimeout: 0 }))
    const paused = (depth: 'memory' | 'filesystem') => async () => {
      await sandbox.pause({ depth })
      return (await timed(() => sandbox.exec(['true']))).ms
    }
    const series = await interleave(
      [
        { name: WARM, run: async () => (await timed(() => sandbox.exec(['true']))).ms },
        { name: WOKEN, run: paused('memory') },
        { name: 'exec in one that is paused with its files', every: 4, run: paused('filesystem') },
      ],
      run.quick ? 20 : 100,
      120_000,
    )
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    const count = run.quick ? 10 : FORKS
    run.progress(`${count} forks`)
    const forked = await timed(() => sandbox.fork({ count }))
    const results = await Promise.all(forked.result.map((copy) => copy.exec(['true']).catch(() => null)))
    await Promise.all(forked.result.map((copy) => copy.delete()))
    return {
      series,
      figures: [{ name: `${count} forks in one call`, value: forked.ms, unit: 'ms' }],
      targets: [
        {
          promise: 'exec in a sandbox that is paused with its memory, p50 against one that runs',
          value: p50(WOKEN) / p50(WARM),
          limit: 2,
          unit: '×',
        },
        {
          promise: `${count} forks in one call: those whose first command failed`,
          value: results.filter((result) => result?.exitCode !== 0).length,
          limit: 0,
          unit: '',
        },
      ],
    }
  },
}
