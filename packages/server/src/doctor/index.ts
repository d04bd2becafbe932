import type { DoctorReport } from '@caisson/protocol/resources'
import type { Config } from '../config.ts'
import { cgroups } from './cgroups.ts'
import type { Finding } from './check.ts'
import { firewall } from './firewall.ts'
import { forwarding, forwarding6, otherFirewalls, previews } from './forwarding.ts'
import { kernel, openFiles, overlay, userNamespaces } from './host.ts'
import { agent, baseRuntime, crun, dataDirectory, listener, seccomp } from './installation.ts'
import { askLauncher, idmappedLayers, launcherAnswers } from './launcher.ts'
import { diskLimits, freezer, memoryOnDisk, pool } from './storage.ts'

const ISOLATION: Record<Config['driver'], string> = {
  oci: 'Own user, pid, mount, network, ipc, uts and cgroup namespaces, a seccomp filter and few capabilities; the kernel is shared with this host.',
  local: 'None: commands run on this host as the user of the server.',
  memory: 'Nothing runs: sandboxes exist in memory only.',
}

/** What runs a check, and whether the configured driver cannot do without it. */
interface Row {
  id: string
  /** What it is for, in a few words for people. */
  ability: string
  required: boolean
  run: () => Finding | Promise<Finding>
}

/**
 * Tries what this host can do, ability by ability. Needs no server and leaves nothing behind.
 * The report is `ok` when nothing that the configured driver requires is missing.
 */
export async function runDoctor(config: Config, signal?: AbortSignal): Promise<DoctorReport> {
  // First, and alone: it makes the directory that other checks try things in.
  const data = await dataDirectory(config.dataDir)
  const checks = await Promise.all(
    rows(config, data, signal).map(async ({ id, ability, required, run }) => {
      return { id, ability, ...(await run()), required }
    }),
  )
  signal?.throwIfAborted()
  const ok = checks.every((check) => !check.required || check.state !== 'missing')
  const { driver, storage } = config
  return { ok, driver, storage, isolation: ISOLATION[driver], checks }
}

function rows(config: Config, data: Finding, signal?: AbortSignal): Row[] {
  const { dataDir, imagesDir, runtimesDir } = config
  const oci = config.driver === 'oci'
  const needsAgent = config.driver !== 'memory'
  const abilities = oci ? askLauncher(config, signal) : null
  const row = (id: string, ability: string, required: boolean, run: Row['run']): Row => {
    return { id, ability, required, run }
  }
  const ofLauncher = abilities
    ? [
        row('launcher', 'mounts, cgroups and starts, apart from the server', oci, async () =>
          launcherAnswers(await abilities),
        ),
        row('idmapped-mounts', 'files that belong to no user of the host', oci, async () =>
          idmappedLayers(await abilities),
        ),
        row('pool', 'snapshots, checkpoints and forks', config.storage === 'btrfs', async () =>
          pool(await abilities, config.storage),
        ),
        row('disk-limits', 'how much of the disk a sandbox can take', false, async () =>
          diskLimits(await abilities, config.storage),
        ),
        row('freezer', 'pause without ending what runs', false, async () => freezer(await abilities)),
        row('memory-on-disk', 'pauses that outlive a restart of the host', false, async () =>
          memoryOnDisk(await abilities),
        ),
        row('network', 'give sandboxes a network, and hold its rules', false, async () =>
          firewall(config, await abilities, signal),
        ),
        row('forwarding', 'packets between sandboxes and the internet', false, forwarding),
        row('forwarding-ipv6', 'IPv6 in sandboxes', false, forwarding6),
        row('firewall', 'other firewalls let sandboxes pass', false, () => otherFirewalls(signal)),
      ]
    : []
  return [
    row('data-directory', 'keep sandboxes and records', true, () => data),
    row('kernel', 'the system calls that sandboxes are made of', oci, kernel),
    row('user-namespaces', 'root in a sandbox is nobody outside', oci, () => userNamespaces(signal)),
    row('overlay', 'share images between sandboxes', config.storage === 'overlay', () =>
      overlay(dataDir, signal),
    ),
    row('cgroups', 'limits of memory, CPU and processes', oci, () => cgroups()),
    row('crun', 'start containers', oci, () => crun(config.crun, signal)),
    row('agent', 'run commands and move files in a sandbox', needsAgent, () => agent(config.agent, signal)),
    ...ofLauncher,
    row('seccomp', 'refuse system calls', oci, () => seccomp(config.seccomp)),
    row('base-runtime', 'the default file system of a sandbox', oci, () =>
      baseRuntime(runtimesDir, imagesDir),
    ),
    row('listen', 'serve the API over TCP', false, () => listener(config.listen)),
    row('previews', 'open exposed ports by name', false, () => previews(config)),
    row('open-files', 'many sandboxes at once', false, openFiles),
  ]
}
