import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxPlan, Stage } from '../../core/plan.ts'
import type { Driver, Ended, Found, Usage } from '../driver.ts'
import { MemoryAgent } from './agent.ts'

interface MemorySandbox {
  agent: MemoryAgent
  oomKills: number
}

/**
 * The world that memory drivers run on: it plays the kernel. A test that restarts its server keeps the host and
 * gives it to a new driver, which finds the sandboxes again.
 */
export class MemoryHost {
  readonly sandboxes = new Map<string, MemorySandbox>()
  readonly #listeners = new Set<(ended: Ended) => void>()

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
  readonly #host: MemoryHost
  readonly #undo = new Set<() => void>()

  constructor(host: MemoryHost = new MemoryHost()) {
    this.#host = host
  }

  async open(): Promise<void> {}

  async start(plan: SandboxPlan, signal?: AbortSignal): Promise<Stage[]> {
    signal?.throwIfAborted()
    if (this.#host.sandboxes.has(plan.id)) throw new Error(`sandbox ${plan.id} exists already`)
    const began = performance.now()
    this.#host.sandboxes.set(plan.id, { agent: new MemoryAgent(), oomKills: 0 })
    return [{ name: 'agent', ms: performance.now() - began }]
  }

  async connect(id: string, signal?: AbortSignal): Promise<Duplex> {
    signal?.throwIfAborted()
    const sandbox = this.#host.sandboxes.get(id)
    if (sandbox === undefined)
      throw new SandboxError('agent_lost', { sandbox: id, reason: 'it does not run' })
    return sandbox.agent.connect()
  }

  async stop(id: string): Promise<void> {
    this.#host.end(id, 'SIGKILL')
  }

  async list(): Promise<Found[]> {
    return [...this.#host.sandboxes.keys()].map((id) => ({ id, running: true }))
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
