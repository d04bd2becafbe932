import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import type { Server } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxPlan, Stage } from '../../core/plan.ts'
import { Undo } from '../../undo.ts'
import { connectAgent } from '../agent-socket.ts'
import type { Driver, Ended, Found } from '../driver.ts'
import { findMarked, identify, isAlive, type ProcessId, send, waitGone } from './processes.ts'
import { RunDirectory } from './run-directory.ts'

/** Milliseconds that an agent has to end its processes before it is killed. */
const GRACE_MS = 5000
/** Milliseconds between looks at agents that are no children of this server. */
const WATCH_MS = 250
/** Rounds of killing what an agent left behind; each finds what the processes of the one before have forked. */
const KILL_ROUNDS = 200

/**
 * Programs on the host itself, as the server's own user: no isolation and no limits, for development and for hosts
 * that can do nothing better. The agent of a sandbox is a daemon that outlives the server.
 */
export class LocalDriver implements Driver {
  readonly name = 'local'
  readonly isolation = 'none: programs run on this host as the user of the server'
  readonly defaultUser = null
  readonly roots = ['directory'] as const
  readonly limits = [] as const
  readonly #dataDir: string
  readonly #agent: string
  readonly #listeners = new Set<(ended: Ended) => void>()
  /** Agents that an earlier server started: nobody tells when they end, so they are looked at. */
  readonly #adopted = new Map<string, ProcessId>()
  readonly #children = new Set<string>()
  #run: RunDirectory | null = null
  #watch: NodeJS.Timeout | undefined

  constructor(options: { dataDir: string; agent: string }) {
    this.#dataDir = options.dataDir
    this.#agent = options.agent
  }

  async open(): Promise<void> {
    try {
      accessSync(this.#agent, constants.X_OK)
    } catch (cause) {
      const details = {
        what: `the agent ${this.#agent} cannot be executed`,
        fix: 'Build it with "make -C native".',
      }
      throw new SandboxError('host_not_ready', details, { cause })
    }
    this.#run = new RunDirectory(join(this.#dataDir, 'run'))
    await this.list()
  }

  async start(plan: SandboxPlan, signal?: AbortSignal): Promise<Stage[]> {
    const { id } = plan
    if (plan.root.kind !== 'directory') throw new TypeError(`no root of kind ${plan.root.kind}`)
    const home = join(this.#dataDir, plan.root.path)
    const run = this.#directory()
    const began = performance.now()
    await using undo = new Undo()
    run.note(id, null)
    undo.add(() => run.remove(id))
    const server = await run.listen(id)
    undo.add(() => server.close())
    const agent = await this.#spawn(id, home, server)
    undo.add(() => this.#takeBack(id, agent))
    run.note(id, agent)
    signal?.throwIfAborted()
    server.close()
    undo.keep()
    return [{ name: 'agent', ms: performance.now() - began }]
  }

  connect(id: string, signal?: AbortSignal): Promise<Duplex> {
    return connectAgent(this.#directory().socket(id), signal)
  }

  async stop(id: string): Promise<void> {
    const run = this.#directory()
    await this.#end(id, run.find(id))
    run.remove(id)
  }

  async list(): Promise<Found[]> {
    const run = this.#directory()
    return run.ids().map((id) => {
      const agent = run.find(id)
      if (agent !== null && !this.#children.has(id)) this.#adopt(id, agent)
      return { id, running: agent !== null, frozen: false }
    })
  }

  onEnded(listener: (ended: Ended) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    clearInterval(this.#watch)
    this.#watch = undefined
    this.#adopted.clear()
    this.#listeners.clear()
    this.#run?.close()
    this.#run = null
  }

  #directory(): RunDirectory {
    if (this.#run === null) throw new Error('the driver is not open')
    return this.#run
  }

  async #spawn(id: string, home: string, server: Server): Promise<ProcessId> {
    const child = spawn(this.#agent, ['--listen-fd', '3', '--subreaper'], {
      argv0: this.#directory().marker(id),
      cwd: home,
      env: { HOME: home },
      // A session of its own: signals to the server's group, such as Ctrl-C, are not meant for it.
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', descriptorOf(server)],
    })
    const spawned = Promise.withResolvers<void>()
    child.once('spawn', spawned.resolve)
    child.once('error', spawned.reject)
    await spawned.promise
    child.unref()
    this.#watchChild(id, child)
    const agent = identify(child.pid as number)
    if (agent === null) throw new Error('the agent ended at once')
    return agent
  }

  #watchChild(id: string, child: ChildProcess): void {
    this.#children.add(id)
    child.once('exit', (code, signal) => {
      if (this.#children.delete(id)) this.#tell({ id, status: signal ?? String(code) })
    })
  }

  /** Ends the agent of a start that failed: there was no sandbox whose end could be told. */
  #takeBack(id: string, agent: ProcessId): Promise<void> {
    this.#children.delete(id)
    return this.#end(id, agent)
  }

  /** Ends the agent, which ends its processes, and whatever an agent that died by itself has left. */
  async #end(id: string, agent: ProcessId | null): Promise<void> {
    if (agent !== null) {
      send(agent, 'SIGTERM')
      if (!(await waitGone(agent, GRACE_MS))) {
        send(agent, 'SIGKILL')
        await waitGone(agent, GRACE_MS)
      }
    }
    for (let round = 0; round < KILL_ROUNDS; round++) {
      // Every command is started with this entry, and what it forks has it as well unless it was removed on purpose.
      const left = findMarked('environ', `CAISSON_SANDBOX=${id}`)
      if (left.length === 0) return
      for (const one of left) send(one, 'SIGKILL')
      await waitGone(left[0] as ProcessId, WATCH_MS)
    }
    throw new Error(`processes of sandbox ${id} cannot be killed`)
  }

  #adopt(id: string, agent: ProcessId): void {
    this.#adopted.set(id, agent)
    this.#watch ??= setInterval(() => this.#look(), WATCH_MS).unref()
  }

  #look(): void {
    for (const [id, agent] of this.#adopted) {
      if (isAlive(agent)) continue
      this.#adopted.delete(id)
      this.#tell({ id, status: 'unknown' })
    }
    if (this.#adopted.size > 0) return
    clearInterval(this.#watch)
    this.#watch = undefined
  }

  #tell(ended: Ended): void {
    for (const listener of this.#listeners) listener(ended)
  }
}

/** Node has no public name for it, and spawn hands on nothing but descriptors and connected streams. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}
