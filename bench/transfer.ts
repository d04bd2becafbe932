import { writeFileSync } from 'node:fs'
import { Sandbox } from 'caisson'
import { residentSize } from './host.ts'
import { timed } from './interleave.ts'
import { Payload } from './payload.ts'
import type { Outcome, Run } from './scenario.ts'
import { BenchServer } from './server.ts'
import { addSample, digits, type Series, summarize } from './stats.ts'

export interface Transfer {
  name: string
  /** Moves the payload once. @returns the SHA-256 of what arrived */
  move(payload: Payload): Promise<string>
}

/** Where the payload's block lies inside the sandbox. */
export const BLOCK_FILE = 'block'

/**
 * Moves a GiB to and fro, in turn with its peers, checks each byte of it by its digest, and watches how far the
 * server's memory grows meanwhile: the highest point of each transfer, against what there was before the first.
 */
export async function transferScenario(
  run: Run,
  make: (sandbox: Sandbox) => { ours: Transfer[]; peers: Transfer[] },
): Promise<Outcome> {
  const payload = new Payload(run.quick ? 256 : 1024)
  await using server = await BenchServer.start(run.workDir)
  await using sandbox = await Sandbox.create({ client: server.client })
  // Made inside: an upload would grow the server before it is measured.
  ;(await sandbox.python(payload.makeBlock(BLOCK_FILE))).throwIfFailed()
  const { ours, peers } = make(sandbox)
  const before = residentSize(server.pid).now
  const series: Series = {}
  const grown = new Map<string, number>()
  let altered = 0
  for (let i = 0; i < (run.quick ? 1 : 3); i++) {
    for (const transfer of [...ours, ...peers]) {
      run.progress(`${transfer.name}, ${i + 1}`)
      resetPeak(server.pid)
      const { ms, result } = await timed(() => transfer.move(payload))
      if (result !== payload.sha256) altered++
      addSample(series, `${transfer.name}, ${payload.sizeMiB} MiB`, ms)
      if (peers.includes(transfer)) continue
      const growth = residentSize(server.pid).peak - before
      grown.set(transfer.name, Math.max(growth, grown.get(transfer.name) ?? 0))
    }
  }
  return {
    series,
    figures: [
      ...Object.entries(series).map(([name, samples]) => ({
        name,
        value: payload.sizeMiB / (summarize(samples).p50 / 1000),
        unit: 'MiB/s',
      })),
      { name: 'server, resident before', value: before, unit: 'MiB' },
    ],
    targets: [
      {
        promise: `${ours.map(({ name }) => name).join(', ')}: transfers that were altered`,
        value: altered,
        limit: 0,
        unit: '',
      },
      ...[...grown].map(([name, value]) => ({
        promise: `${name}: growth of the server's resident memory`,
        value,
        limit: 64,
        unit: 'MiB',
      })),
    ],
    notes: [
      `The client hashes what it reads, in the same process and within the time; after all, the server holds ${digits(residentSize(server.pid).now)} MiB.`,
    ],
  }
}

/** From here on, the peak of the resident size counts anew. */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}
