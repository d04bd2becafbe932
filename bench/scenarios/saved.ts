import { Sandbox } from 'caisson'
import { interleave, timed } from '../interleave.ts'
import { BareBtrfs } from '../peers/bare-btrfs.ts'
import type { Peer } from '../peers/peer.ts'
import type { Outcome, Run, Scenario, Target } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { type Series, summarize } from '../stats.ts'

const MIB = 1024 ** 2
const COLD = 'a cold create'
const VERBS = ['checkpoint', 'snapshot', 'fork', 'restore'] as const
type Verb = (typeof VERBS)[number]

/** The same work on a sandbox with little and on one with much in it, beside a bare copy of a subvolume. */
export const saved: Scenario = {
  name: 'saved',
  title: 'Checkpoint, snapshot, fork and restore, by size',
  async run(run): Promise<Outcome> {
    const peers = await run.peers()
    await using stack = new AsyncDisposableStack()
    const large = run.quick ? 512 : 5 * 1024
    const server = stack.use(await BenchServer.start(run.workDir, { CAISSON_POOL_SIZE: '16Gi' }))
    const bare = stack.use(await BareBtrfs.open(run.workDir))
    const sizes = { small: '10 MiB', large: `${large} MiB` }
    const subjects: Peer[] = [bare.snapshot, bare.copy, coldCreate(server), ...peers.commit]
    for (const [size, mib] of [
      [sizes.small, 10],
      [sizes.large, large],
    ] as const) {
      const sandbox = stack.use(await filled(server, mib, run))
      subjects.push(...VERBS.map((verb) => subject(server, sandbox, verb, size)))
    }
    const series = await interleave(subjects, run.quick ? 10 : 40, run.quick ? 60_000 : 240_000)
    const notes = peers.skipped.map((reason) => `Skipped ${reason}`)
    return { series, targets: targetsOf(series, bare.snapshot.name, sizes), notes }
  },
}

async function filled({ client }: BenchServer, mib: number, run: Run): Promise<Sandbox> {
  run.progress(`filling a sandbox with ${mib} MiB`)
  const sandbox = await Sandbox.create({ client, resources: { disk: '8Gi' }, idleTimeout: 0 })
  const script = `head -c ${mib * MIB} /dev/urandom >data && sync`
  const result = await sandbox.exec(['sh', '-c', script])
  result.throwIfFailed()
  return sandbox
}

const coldCreate = ({ client }: BenchServer): Peer => ({
  name: COLD,
  run: async () => {
    const { ms, result } = await timed(() => Sandbox.create({ client }))
    await result.delete()
    return ms
  },
})

/** What a verb leaves behind is removed outside the time. */
function subject({ client }: BenchServer, sandbox: Sandbox, verb: Verb, size: string): Peer {
  const work: Record<Verb, () => Promise<number>> = {
    checkpoint: async () => {
      const { ms, result } = await timed(() => sandbox.checkpoints.create())
      await sandbox.checkpoints.delete(result.id)
      return ms
    },
    snapshot: async () => {
      const { ms, result } = await timed(() => sandbox.snapshot({ tag: null }))
      await client.call('deleteSnapshot', { snapshot: result.id })
      return ms
    },
    fork: async () => {
      const { ms, result } = await timed(() => sandbox.fork())
      for (const copy of result) await copy.delete()
      return ms
    },
    restore: async () => {
      const point = await sandbox.checkpoints.create()
      const { ms } = await timed(() => sandbox.checkpoints.restore(point.id))
      await sandbox.checkpoints.delete(point.id)
      return ms
    },
  }
  return { name: `${verb}, ${size}`, run: work[verb] }
}

function targetsOf(
  series: Series,
  bare: string,
  { small, large }: { small: string; large: string },
): Target[] {
  const p50 = (name: string) => summarize(series[name] ?? []).p50
  const starts: readonly Verb[] = ['fork', 'restore']
  return VERBS.flatMap((verb) => {
    const least = p50(bare) + (starts.includes(verb) ? p50(COLD) : 0)
    return [
      {
        promise: `${verb}: ${large} against ${small} of data, p50`,
        value: p50(`${verb}, ${large}`) / p50(`${verb}, ${small}`),
        limit: 1.5,
        unit: '×',
      },
      {
        promise: `${verb}: against a bare \`btrfs subvolume snapshot\`${starts.includes(verb) ? ' and a cold create' : ''}, p50`,
        value: p50(`${verb}, ${small}`) / least,
        limit: 2,
        unit: '×',
      },
    ]
  })
}
