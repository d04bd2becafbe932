import { request } from 'node:http'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { interleave } from '../interleave.ts'
import type { Outcome, Run, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { addSample, type Series, summarize } from '../stats.ts'

const OURS = 'Sandbox.create + exec true'

/** From nothing to the first result, with no pool. Deleting the sandbox is not in the time. */
export const create: Scenario = {
  name: 'create',
  title: 'Create → first result, cold',
  async run(run): Promise<Outcome> {
    const peers = await run.peers()
    await using server = await BenchServer.start(run.workDir)
    const { client } = server
    const creates: number[] = []
    const ours = {
      name: OURS,
      run: async () => {
        const since = performance.now()
        const sandbox = await Sandbox.create({ client })
        creates.push(performance.now() - since)
        const result = await sandbox.exec(['true'])
        const ms = performance.now() - since
        result.throwIfFailed()
        await sandbox.delete()
        return ms
      },
    }
    const series = await interleave([ours, ...peers.create], run.quick ? 20 : 100, 120_000)
    const stages = await stageTimes(server, run)
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    return {
      series: { ...series, 'of it: Sandbox.create': creates.slice(-series[OURS]!.length), ...stages },
      targets: [
        {
          promise: 'create → first exec result, p50, against bare `crun run` of `true`',
          value: p50(OURS) / p50('crun run'),
          limit: 3,
          unit: '×',
        },
      ],
      notes: peers.skipped.map((reason) => `Skipped ${reason}`),
    }
  },
}

/** The stages that every create answers with. */
async function stageTimes({ dataDir, client }: BenchServer, run: Run): Promise<Series> {
  const stages: Series = {}
  for (let i = 0; i < (run.quick ? 5 : 30); i++) {
    const { timing, id } = await createRaw(join(dataDir, 'run/api.sock'))
    for (const part of timing.split(',')) {
      const [, name = '', ms] = /^\s*([\w-]+);dur=([\d.]+)/.exec(part) ?? []
      addSample(stages, `Server-Timing ${name}`, Number(ms))
    }
    await client.call('deleteSandbox', { id })
  }
  return stages
}

function createRaw(socketPath: string): Promise<{ timing: string; id: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    request({ socketPath, path: '/v1/sandboxes', method: 'POST', headers }, async (response) => {
      const parts = await response.toArray()
      const timing = String(response.headers['server-timing'] ?? '')
      resolve({ timing, id: JSON.parse(Buffer.concat(parts).toString()).id })
    })
      .on('error', reject)
      .end('{}')
  })
}
