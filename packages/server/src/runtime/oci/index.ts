import { constants } from 'node:os'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { Limits, RootPlan, SandboxPlan, Stage } from '../../core/plan.ts'
import {
  type Hierarchy,
  type LaunchedSandbox,
  type Launcher,
  LauncherError,
  LauncherLost,
} from '../../launcher/client.ts'
import { connectAgent } from '../agent-socket.ts'
import type { Driver, Ended, Found, Usage } from '../driver.ts'
import { memoryOf, type OciMemory } from './memory.ts'
import { OciNetwork } from './network.ts'
import { toLaunchPlan } from './plan.ts'
import { requireGoodCrun } from './probe.ts'
import { readOomKills, readUsage } from './usage.ts'

export interface OciOptions {
  launcher: Launcher
  dataDir: string
  /** Absolute path of crun. */
  crun: string
}

/** Containers by crun, started by the launcher. */
export class OciDriver implements Driver {
  readonly name = 'oci'
  readonly isolation =
    'Linux container (crun): user, pid, mount, network, ipc, uts and cgroup namespaces, seccomp, no capability of the host; the kernel is shared'
  readonly defaultUser = 'agent'
  readonly roots: readonly RootPlan['kind'][] = ['overlay', 'directory', 'pool']
  readonly limits: readonly (keyof Limits)[] = ['memoryBytes', 'cpuMillis', 'pids']
  readonly volumes = true
  readonly network: OciNetwork
  /** Known once it is open. */
  memory?: OciMemory
  #launcher: Launcher
  #dataDir: string
  #crun: string
  #hierarchies = new Map<string, Hierarchy>()

  constructor({ launcher, dataDir, crun }: OciOptions) {
    this.#launcher = launcher
    this.#dataDir = dataDir
    this.#crun = crun
    this.network = new OciNetwork(launcher)
  }

  async open(signal?: AbortSignal): Promise<void> {
    await requireGoodCrun(this.#crun, signal)
    await this.#launcher.open(signal)
    this.#hierarchies = await this.#launcher.hierarchies(signal)
    const memory = await memoryOf(this.#launcher, signal)
    if (memory !== undefined) this.memory = memory
  }

  async start(plan: SandboxPlan, signal?: AbortSignal): Promise<Stage[]> {
    try {
      const { stages } = await this.#launcher.start(toLaunchPlan(plan), signal)
      return stages
    } catch (error) {
      if (!(error instanceof LauncherError || error instanceof LauncherLost)) throw error
      const stage = error instanceof LauncherError ? error.step : 'launcher'
      const details = { sandbox: plan.id, stage, reason: error.message }
      throw new SandboxError('create_failed', details, { cause: error })
    }
  }

  async connect(id: string, signal?: AbortSignal): Promise<Duplex> {
    try {
      return await connectAgent(`${this.#dataDir}/run/${id}.sock`, signal)
    } catch (error) {
      if (signal?.aborted) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new SandboxError('agent_lost', { sandbox: id, reason }, { cause: error })
    }
  }

  async stop(id: string, signal?: AbortSignal): Promise<void> {
    await this.#launcher.delete(id, signal)
  }

  async list(signal?: AbortSignal): Promise<Found[]> {
    const sandboxes = await this.#launcher.list(signal)
    return sandboxes.map(({ id, state, frozen }) => {
      return { id, running: state === 'running' || state === 'starting', frozen }
    })
  }

  onEnded(listener: (ended: Ended) => void): () => void {
    return this.#launcher.onEnded((sandbox) => listener({ id: sandbox.id, status: describeStatus(sandbox) }))
  }

  usage(id: string): Promise<Usage | null> {
    return readUsage(this.#hierarchies, id)
  }

  oomKills(id: string): number {
    return readOomKills(this.#hierarchies, id)
  }

  async close(): Promise<void> {
    await this.#launcher.close()
  }
}

/** "0", "137" or "SIGKILL"; "unknown" when the init was the child of an earlier launcher. */
export function describeStatus({ waitStatus }: Pick<LaunchedSandbox, 'waitStatus'>): string {
  if (waitStatus === null) return 'unknown'
  const signal = waitStatus & 0x7f
  if (signal === 0) return String((waitStatus >> 8) & 0xff)
  const named = Object.entries(constants.signals).find(([, number]) => number === signal)
  return named?.[0] ?? `signal ${signal}`
}
