import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'
import { settleMemory } from '../host.ts'
import { timed } from '../interleave.ts'
import { Payload } from '../payload.ts'
import { Relay } from '../relay.ts'
import type { Outcome, Scenario, Target } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { addSample, digits, type Series, summarize } from '../stats.ts'
import { BLOCK_FILE } from '../transfer.ts'

const FILE = 'uploaded'
/** After so long a virtual machine has given free memory back to its host, in ms. */
const GIVEN_BACK_MS = 6000

/** Throughput through the SDK against the same bytes through a relay that does nothing else. */
export const relay: Scenario = {
  name: 'relay',
  title: 'Throughput, beside a bare relay',
  async run(run): Promise<Outcome> {
    const payload = new Payload(run.quick ? 256 : 1024)
    await using server = await BenchServer.start(run.workDir)
    await using sandbox = await Sandbox.create({ client: server.client })
    await using bare = await Relay.start(run.workDir, payload)
    ;(await sandbox.python(payload.makeBlock(BLOCK_FILE))).throwIfFailed()
    const moves: Record<string, () => Promise<number>> = {
      'relay, reading': () => bare.read(),
      'relay, writing': () => bare.write(payload.stream()),
      'relay, writing to a file': () => bare.write(payload.stream(), true),
      stdout: () => readStdout(sandbox, payload),
      upload: async () => (await sandbox.files.write(FILE, payload.stream())).size,
      download: () => count(sandbox.files.stream(FILE)),
    }
    const series: Series = {}
    const moved = new Set<number>()
    for (let i = 0; i < (run.quick ? 1 : 5); i++) {
      for (const [name, move] of Object.entries(moves)) {
        run.progress(`${name}, ${i + 1}`)
        await settleMemory()
        const { ms, result } = await timed(move)
        // The next upload makes a file anew: what the kernel takes to free a GiB is no transfer.
        if (name === 'download') await sandbox.files.remove(FILE)
        // A number before each block makes ours a few bytes longer.
        moved.add(Math.round(result / 2 ** 20))
        addSample(series, name, ms)
      }
    }
    await sleep(GIVEN_BACK_MS)
    const cold = (await timed(() => moves.upload!())).ms
    const rate = (name: string) => payload.sizeMiB / (summarize(series[name] ?? []).p50 / 1000)
    const target = (name: string, peer: string): Target => ({
      promise: `${name} through the SDK: time against the bare relay's, p50`,
      value: rate(peer) / rate(name),
      limit: 2,
      unit: '×',
    })
    return {
      series,
      figures: [
        ...Object.keys(moves).map((name) => ({ name, value: rate(name), unit: 'MiB/s' })),
        {
          name: 'upload, into memory that is not at hand',
          value: payload.sizeMiB / (cold / 1000),
          unit: 'MiB/s',
        },
      ],
      targets: [
        target('stdout', 'relay, reading'),
        target('upload', 'relay, writing'),
        target('download', 'relay, reading'),
        { promise: 'transfers of another size', value: moved.size - 1, limit: 0, unit: '' },
      ],
      notes: [
        `The relay is two processes and holds nothing; stdout is kept on disk by the server, and an upload by the sandbox. Against the relay that writes to a file, an upload takes ${digits(rate('relay, writing to a file') / rate('upload'))} times as long.`,
      ],
    }
  },
}

async function readStdout(sandbox: Sandbox, payload: Payload): Promise<number> {
  let bytes = 0
  const result = await sandbox.sh(payload.repeat(BLOCK_FILE), {
    maxBuffer: 0,
    onOutput: ({ data }) => {
      bytes += data.length
    },
  })
  result.throwIfFailed()
  return bytes
}

async function count(source: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const data of source) bytes += data.length
  return bytes
}
