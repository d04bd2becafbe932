import { chmod, mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { cgroupMounts, versionOf } from '../host.ts'
import { baseRoot } from '../server.ts'
import { Timer } from '../timer.ts'
import { bubblewrapPeer } from './bubblewrap.ts'
import { type Captured, captureConfiguration } from './configuration.ts'
import { CrunPeers } from './crun.ts'
import { EnginePeers } from './engine.ts'
import { PeerGroups } from './groups.ts'
import type { Peer, Peers } from './peer.ts'

const CRUN = '/usr/bin/crun'
const BWRAP = '/usr/bin/bwrap'
/** By full name: a client of another docker may shadow the one of the system. */
const ENGINES = ['/usr/bin/podman', '/usr/bin/docker']

/** Readies every peer that this machine has. */
export async function openPeers(workDir: string): Promise<Peers> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(workDir, 's-'))
  // The ids of a sandbox must find their way to its root.
  for (const path of [workDir, dir]) await chmod(path, 0o711)
  const captured = await captureConfiguration(workDir, CRUN)
  const [upper, work, target] = await Promise.all(
    ['upper', 'work', 'root'].map(async (name) => {
      await mkdir(join(dir, name))
      return join(dir, name)
    }),
  )
  const overlay = { lower: baseRoot(), upper: upper!, work: work!, target: target!, hide: hybridMount() }
  const timer = stack.use(new Timer(dir, overlay))
  const groups = stack.use(new PeerGroups(dir, captured.limits))
  const crun = stack.use(await CrunPeers.open(dir, captured, overlay.target, timer, groups))
  const create = [crun.run]
  const exec = [crun.exec]
  const commit: Peer[] = []
  const skipped: string[] = []
  if (versionOf(BWRAP).startsWith('bubblewrap')) create.push(bubblewrapPeer(overlay.target, timer))
  else skipped.push('bwrap: it is not installed')
  for (const engine of ENGINES) {
    try {
      const peers = stack.use(
        await EnginePeers.open(engine, { workDir, root: baseRoot(), limits: engineLimits(captured), timer }),
      )
      create.push(peers.run)
      exec.push(peers.exec)
      commit.push(peers.commit)
    } catch (error) {
      skipped.push(`${engine}: ${(error as Error).message}`)
    }
  }
  const resources = stack.move()
  return { create, exec, commit, skipped, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** crun 1.8 refuses a host with both cgroup versions when it sees the second; the launcher hides it as well. */
function hybridMount(): string | undefined {
  const mounts = cgroupMounts()
  return mounts.some(({ v2 }) => !v2) ? mounts.find(({ v2 }) => v2)?.path : undefined
}

const engineLimits = ({ limits }: Captured): string[] => [
  ...['--memory', `${limits.memoryBytes}b`],
  ...['--cpus', `${limits.cpuMillis / 1000}`],
  ...['--pids-limit', `${limits.pids}`],
]
