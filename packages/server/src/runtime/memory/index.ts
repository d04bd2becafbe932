import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxPlan, Stage } from '../../core/plan.ts'
import type { Driver, Ended, Found, MemoryHand, Usage } from '../driver.ts'
import { MemoryAgent } from './agent.ts'
import { type MemoryDirectory, newDirectory } from './nodes.ts'

interface MemorySandbox {
  agent: MemoryAgent
  oomKills: number
  hasVolumes: boolean
}

/**
 * The world that memory drivers run on: it plays the kernel. A test that restarts its server keeps the host and
 * gives it to a new driver, which finds the sandboxes again.
 */
export class MemoryHost {
  readonly sandboxes = new Map<string, MemorySandbox>()
  /** What a start from a dump goes on with: of a sandbox that it ended the agent with all that ran, else one with its files alone. */
  readonly dumps = new Map<string, () => MemoryAgent>()
  /** What is in volumes, whatever their storage says of them. */
  readonly #volumes = new Map<string, MemoryDirectory>()
  readonly #listeners = new Set<(ended: Ended) => void>()

  volume(id: string): MemoryDirectory {
    const directory = this.#volumes.get(id) ?? newDirectory(0o777, 0)
    this.#volumes.set(id, directory)
    return directory
  }

  onEnded(listener: (ended: Ended) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Ends a sandbox, as a stop or as the death of its agent does. */
  end(id: string, status: string): void {
    const sandbox = this.sandboxes.get(id)
    if (sandbox === undefined || !this.sandboxes.delete(id)) return
    sandbox.agent.kill()
    for (const listener of this.#listeners) listener({ id, status })
  }

  /** Kills one program as the kernel does when memory is short. */
  killForMemory(id: string, execution: string): void {
    const sandbox = this.sandboxes.get(id)
    if (sandbox === undefined || !sandbox.agent.killExecution(execution)) return
    sandbox.oomKills++
  }
}

/** Sandboxes without processes, for tests of everything above a driver: programs and files are imitations in memory. */
export class MemoryDriver implements Driver {
  readonly name = 'memory'
  readonly isolation = 'none: imitated programs in the memory of the server, for tests'
  readonly defaultUser = 'agent'
  readonly roots = ['directory'] as const
  readonly limits = [] as const
  readonly volumes = true
  readonly memory: MemoryHand
  readonly #host: MemoryHost
  readonly #undo = new Set<() => void>()

  constructor(host: MemoryHost = new MemoryHost()) {
    this.#host = host
    this.memory = new MemoryOfHost(host)
  }

  async open(): Promise<void> {}

  async start(plan: SandboxPlan, signal?: AbortSignal): Promise<Stage[]> {
    signal?.throwIfAborted()
    if (this.#host.sandboxes.has(plan.id)) throw new Error(`sandbox ${plan.id} exists already`)
    const began = performance.now()
    const agent = plan.dump === undefined ? new MemoryAgent() : this.#host.dumps.get(plan.dump)?.()
    if (agent === undefined) throw new Error(`there is no dump ${plan.dump}`)
    const volumes = plan.volumes ?? []
    for (const { volume, path, readOnly } of volumes) agent.mount(path, this.#host.volume(volume), readOnly)
    agent.thaw()
    this.#host.sandboxes.set(plan.id, { agent, oomKills: 0, hasVolumes: volumes.length > 0 })
    return [{ name: 'agent', ms: performance.now() - began }]
  }

  async connect(id: string, signal?: AbortSignal): Promise<Duplex> {
    signal?.throwIfAborted()
    const sandbox = this.#host.sandboxes.get(id)
    if (sandbox === undefined)
      throw new SandboxError('agent_lost', { sandbox: id, reason: 'it does not run' })
    if (sandbox.agent.frozen) throw new SandboxError('agent_lost', { sandbox: id, reason: 'it is frozen' })
    return sandbox.agent.connect()
  }

  async stop(id: string): Promise<void> {
    this.#host.end(id, 'SIGKILL')
  }

  async list(): Promise<Found[]> {
    return [...this.#host.sandboxes].map(([id, { agent }]) => ({ id, running: true, frozen: agent.frozen }))
  }

  onEnded(listener: (ended: Ended) => void): () => void {
    const undo = this.#host.onEnded(listener)
    this.#undo.add(undo)
    return () => {
      undo()
      this.#undo.delete(undo)
    }
  }

  async close(): Promise<void> {
    for (const undo of this.#undo) undo()
    this.#undo.clear()
  }

  async usage(id: string): Promise<Usage | null> {
    const sandbox = this.#host.sandboxes.get(id)
    if (sandbox === undefined) return null
    const { agent, oomKills } = sandbox
    return { memoryBytes: 0, cpuUsec: 0, pids: 1 + agent.running, oomKills }
  }
}

class MemoryOfHost implements MemoryHand {
  readonly noDumps = null
  readonly #host: MemoryHost

  constructor(host: MemoryHost) {
    this.#host = host
  }

  async freeze(id: string): Promise<void> {
    this.#agent(id).freeze()
  }

  async thaw(id: string): Promise<void> {
    this.#host.sandboxes.get(id)?.agent.thaw()
  }

  async dump(id: string, dump: string, end: boolean): Promise<{ bytes: number; saved: boolean }> {
    const agent = this.#agent(id)
    if (!agent.frozen) throw new Error(`sandbox ${id} is not frozen`)
    if (this.#host.sandboxes.get(id)?.hasVolumes) throw new Error('it has a volume')
    if (this.#host.dumps.has(dump)) throw new Error(`the dump ${dump} exists already`)
    const then = agent.copy()
    this.#host.dumps.set(dump, end ? () => agent : () => then.copy())
    // Nobody is told of an end: its processes are kept.
    if (end && this.#host.sandboxes.delete(id)) agent.disconnect()
    return { bytes: 0, saved: false }
  }

  async removeDump(dump: string): Promise<void> {
    this.#host.dumps.delete(dump)
  }

  async listDumps(): Promise<string[]> {
    return [...this.#host.dumps.keys()]
  }

  #agent(id: string): MemoryAgent {
    const sandbox = this.#host.sandboxes.get(id)
    if (sandbox === undefined) throw new Error(`sandbox ${id} does not run`)
    return sandbox.agent
  }
}
