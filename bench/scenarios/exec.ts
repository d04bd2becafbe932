import { Sandbox } from 'caisson'
import { interleave, timed } from '../interleave.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { summarize } from '../stats.ts'

const OURS = 'sandbox.exec true'
const CONCURRENCY = 16

/** `true` in a sandbox that runs already, through the SDK. */
export const exec: Scenario = {
  name: 'exec',
  title: 'Exec of `true`, warm',
  async run(run): Promise<Outcome> {
    const peers = await run.peers()
    await using server = await BenchServer.start(run.workDir)
    await using sandbox = await Sandbox.create({ client: server.client })
    const ours = {
      name: OURS,
      run: async () => {
        const { ms, result } = await timed(() => sandbox.exec(['true']))
        result.throwIfFailed()
        return ms
      },
    }
    const series = await interleave([ours, ...peers.exec], run.quick ? 100 : 500, 60_000)
    const rate = await throughput(sandbox, run.quick ? 500 : 3000)
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    return {
      series,
      figures: [{ name: `exec of true, ${CONCURRENCY} at once`, value: rate, unit: '/s' }],
      targets: [
        {
          promise: 'exec of `true`, warm, p50, against `crun exec` of `true`',
          value: p50(OURS) / p50('crun exec'),
          limit: 0.5,
          unit: '×',
        },
      ],
      notes: peers.skipped.map((reason) => `Skipped ${reason}`),
    }
  },
}

async function throughput(sandbox: Sandbox, total: number): Promise<number> {
  let left = total
  const worker = async () => {
    while (left-- > 0) (await sandbox.exec(['true'])).throwIfFailed()
  }
  const { ms } = await timed(() => Promise.all(Array.from({ length: CONCURRENCY }, worker)))
  return total / (ms / 1000)
}
