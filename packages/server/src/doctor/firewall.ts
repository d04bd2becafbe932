import type { Config } from '../config.ts'
import { newId } from '../core/ids.ts'
import type { PacketRules } from '../core/network/types.ts'
import type { Launcher } from '../launcher/client.ts'
import { Catalogue } from '../storage/images/catalogue.ts'
import { Undo } from '../undo.ts'
import { degraded, type Finding, missing, ok, reason } from './check.ts'
import type { Abilities } from './launcher.ts'
import { trialLauncher } from './trial-launcher.ts'
import { TRIAL, TrialNetwork } from './trial-network.ts'

const DEADLINE_MS = 15_000
/** Far above the ranges of real sandboxes, so that nothing of them is shared. */
const ID_BASE = 0x7f00_0000
const LIMITS = { memoryBytes: 64 * 1024 ** 2, cpuMillis: 1000, pids: 16 }
const NO_LIMITS = { uploadBytesPerSecond: null, downloadBytesPerSecond: null, connections: null }
const MEND = 'Install nftables (Debian: apt-get install nftables) and use a kernel with nf_tables and veth.'

const SETUP = 'Run "caisson setup", which installs and builds what the trial needs.'

/**
 * Whether the rules of a sandbox are really in force: starts one in a network made for this and tries what is allowed,
 * what is not, and this host. Without root, or without an image, only the launcher's word is told.
 */
export async function firewall(config: Config, abilities: Abilities, signal?: AbortSignal): Promise<Finding> {
  if (abilities instanceof Error)
    return missing('not tried: the launcher does not answer', 'Mend the launcher first.')
  const ability = abilities.find(({ name }) => name === 'network')
  if (!ability?.ok) return missing(ability?.detail ?? 'the launcher knows no networks', MEND)
  if (process.getuid?.() !== 0)
    return degraded(`${ability.detail}; not tried, which takes root`, 'Run "caisson doctor" as root.')
  const deadline = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), ...(signal ? [signal] : [])])
  try {
    return judge(await tryRules(config, deadline))
  } catch (error) {
    return degraded(`${ability.detail}; it could not be tried: ${reason(error)}`, SETUP)
  }
}

/** What came of connecting to each address of the trial. */
export type Tried = Record<'none' | 'allowed' | 'other' | 'host', string>

async function tryRules(config: Config, signal: AbortSignal): Promise<Tried> {
  await using undo = new Undo()
  const network = await TrialNetwork.make(undo, signal)
  const launcher = await trialLauncher(config, network, undo, signal)
  const { id, pid } = await startSandbox(config, launcher, undo, signal)
  await launcher.network({ permit: [], host: [TRIAL.host] }, signal)
  await launcher.plug(id, NO_LIMITS, signal)
  const [none] = await network.connect(pid, [TRIAL.allowed], signal)
  await launcher.setRules(id, only(TRIAL.allowed), [], signal)
  const addresses = [TRIAL.allowed, TRIAL.other, TRIAL.host]
  const [allowed, other, host] = await network.connect(pid, addresses, signal)
  return { none: none!, allowed: allowed!, other: other!, host: host! }
}

async function startSandbox(
  config: Config,
  launcher: Launcher,
  undo: Undo,
  signal: AbortSignal,
): Promise<{ id: string; pid: number }> {
  const { runtimesDir, imagesDir } = config
  const image = await new Catalogue({ runtimesDir, imagesDir }).resolve('base')
  const id = newId('sbx')
  await launcher.makeSandboxDirs(id, signal)
  undo.add(() => launcher.removeTree(`sandboxes/${id}`))
  const root = { kind: 'overlay' as const, lowers: [image.rootfs] }
  const plan = { id, hostname: 'doctor', idBase: ID_BASE, root, limits: LIMITS }
  undo.add(() => launcher.delete(id))
  return { id, pid: (await launcher.start(plan, signal)).pid }
}

function only(address: string): PacketRules {
  const bytes = Uint8Array.from(address.split('.').map(Number))
  return { allow4: [{ first: bytes, last: bytes }], allow6: [], named4: [], named6: [], byName: false }
}

export function judge(tried: Tried): Finding {
  const leaks = (['none', 'other', 'host'] as const).filter((what) => tried[what] === 'open')
  const words = {
    none: 'a sandbox without rules reached something',
    other: 'a sandbox reached what its rules do not allow',
    host: 'a sandbox reached this host',
  }
  if (leaks.length > 0)
    return missing(
      leaks.map((what) => words[what]).join('; '),
      'Do not give sandboxes a network; report this.',
    )
  if (tried.allowed !== 'open')
    return missing(`a sandbox did not reach what its rules allow: ${tried.allowed}`, MEND)
  if ([tried.none, tried.other].includes('silent'))
    return degraded('what rules refuse is not reached, but hangs instead of failing at once', MEND)
  return ok('tried: a sandbox reached what its rules allow, and neither anything else nor this host')
}
