import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'
import { timed } from '../interleave.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { addSample, type Series, summarize } from '../stats.ts'

const QUIET = 'exec of true, quiet'
const FLOODED = 'exec of true, beside a flood'

/** What one sandbox that writes 10 GB, and its reader, do to the commands of another. */
export const flood: Scenario = {
  name: 'flood',
  title: 'A flood in one stream, commands in another sandbox',
  async run(run): Promise<Outcome> {
    const gigabytes = run.quick ? 1 : 10
    await using server = await BenchServer.start(run.workDir)
    await using loud = await Sandbox.create({ client: server.client })
    await using quiet = await Sandbox.create({ client: server.client })
    const series: Series = {}
    const measure = async (name: string) =>
      addSample(series, name, (await timed(() => quiet.exec(['true']))).ms)
    for (let i = 0; i < 20; i++) await quiet.exec(['true'])
    for (let i = 0; i < 300; i++) await measure(QUIET)
    run.progress(`${gigabytes} GB`)
    const reader = readFlood(server.dataDir, loud.id, gigabytes)
    const since = performance.now()
    while (!reader.over()) {
      await measure(FLOODED)
      await sleep(5)
    }
    const seconds = (performance.now() - since) / 1000
    const bytes = await reader.bytes
    for (let i = 0; i < 300; i++) await measure(QUIET)
    const p95 = (name: string) => summarize(series[name] ?? []).p95
    return {
      series,
      figures: [{ name: 'the flood', value: bytes / 1e6 / seconds, unit: 'MB/s' }],
      targets: [
        {
          promise: `exec in another sandbox beside a flood of ${gigabytes} GB, p95, against its quiet value`,
          value: p95(FLOODED) / p95(QUIET),
          limit: 2,
          unit: '×',
        },
      ],
    }
  },
}

/** Reads in a process of its own: what it costs must not be in the time of the commands. */
function readFlood(dataDir: string, id: string, gigabytes: number) {
  const body = { argv: ['head', '-c', `${gigabytes}G`, '/dev/zero'].map((w) => w.replace('G', '000000000')) }
  const url = `http://localhost/v1/sandboxes/${id}/exec`
  const child = spawn(
    'curl',
    [
      ...['-sS', '-o', '/dev/null', '-w', '%{size_download}', '--unix-socket', `${dataDir}/run/api.sock`],
      ...['-H', 'accept: application/vnd.caisson.stream', '-H', 'content-type: application/json'],
      ...['-d', JSON.stringify(body), url],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.on('data', (data) => {
    text += data
  })
  const closed = once(child, 'close')
  return { over: () => child.exitCode !== null, bytes: closed.then(() => Number(text)) }
}
