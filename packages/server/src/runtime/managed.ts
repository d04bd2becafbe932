import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { orAborted } from '../abort.ts'
import type { SandboxPlan, Stage } from '../core/plan.ts'
import type { Driver, Ended, Found, MemoryHand, NetworkHand, Usage } from './driver.ts'
import { ManagedMemory, type MemoryStep } from './managed-memory.ts'
import { ManagedNetwork, type NetworkStep } from './managed-network.ts'

type Step = 'open' | 'start' | 'connect' | 'stop' | 'list' | MemoryStep | NetworkStep
/** Milliseconds that a step of a driver may take. */
export type Deadlines = Record<Step, number>

const DEADLINES: Deadlines = {
  open: 60_000,
  start: 60_000,
  connect: 10_000,
  stop: 60_000,
  list: 15_000,
  router: 60_000,
  plug: 30_000,
  unplug: 30_000,
  rules: 15_000,
  pin: 10_000,
  owner: 10_000,
  traffic: 15_000,
  freeze: 15_000,
  thaw: 15_000,
  dump: 120_000,
  dumps: 15_000,
}

/** What is told of every step; a pino logger fits. */
export interface StepLog {
  debug(facts: object, message: string): void
  warn(facts: object, message: string): void
}

export interface ManagedOptions {
  log?: StepLog
  deadlines?: Partial<Deadlines>
}

/** What drivers name files, sockets and cgroups after. */
const ID = /^[a-z0-9_]{1,64}$/

/**
 * Carries what every driver would else do by itself: opens once, lets what starts, stops, freezes and dumps one sandbox never overlap,
 * bounds every step in time, refuses what the driver cannot do, and makes every failure a SandboxError.
 */
export class ManagedDriver implements Driver {
  readonly name: string
  readonly isolation: string
  readonly defaultUser: string | null
  readonly roots: Driver['roots']
  readonly limits: Driver['limits']
  readonly usage?: (id: string) => Promise<Usage | null>
  readonly oomKills?: (id: string) => number
  readonly volumes?: true
  readonly network?: NetworkHand
  memory?: MemoryHand
  readonly #driver: Driver
  readonly #log: StepLog | undefined
  readonly #deadlines: Deadlines
  /** Ends of the last step of each sandbox that has one under way. */
  readonly #tails = new Map<string, Promise<unknown>>()
  #opened: Promise<void> | null = null

  constructor(driver: Driver, options: ManagedOptions = {}) {
    this.name = driver.name
    this.isolation = driver.isolation
    this.defaultUser = driver.defaultUser
    this.roots = driver.roots
    this.limits = driver.limits
    if (driver.usage !== undefined) this.usage = (id) => driver.usage?.(id) ?? Promise.resolve(null)
    if (driver.oomKills !== undefined) this.oomKills = (id) => driver.oomKills?.(id) ?? 0
    if (driver.volumes !== undefined) this.volumes = driver.volumes
    if (driver.network !== undefined)
      this.network = new ManagedNetwork(driver.network, async (step, id, work, signal) => {
        await this.open()
        return this.#bounded(step, id, work, signal)
      })
    this.#driver = driver
    this.#log = options.log
    this.#deadlines = { ...DEADLINES, ...options.deadlines }
  }

  /** Opens the driver once; after a failure the next call tries again. */
  open(signal?: AbortSignal): Promise<void> {
    this.#opened ??= this.#bounded('open', null, (either) => this.#open(either), signal).catch((error) => {
      this.#opened = null
      throw error
    })
    return this.#opened
  }

  async start(plan: SandboxPlan, signal?: AbortSignal): Promise<Stage[]> {
    await this.open()
    this.#refuseUnable(plan)
    return this.#serial('start', plan.id, (either) => this.#start(plan, either), signal)
  }

  async connect(id: string, signal?: AbortSignal): Promise<Duplex> {
    await this.open()
    return this.#bounded('connect', id, (either) => this.#connect(id, either), signal)
  }

  async stop(id: string, signal?: AbortSignal): Promise<void> {
    await this.open()
    return this.#serial('stop', id, (either) => this.#driver.stop(id, either), signal)
  }

  async list(signal?: AbortSignal): Promise<Found[]> {
    await this.open()
    return this.#bounded('list', null, (either) => this.#driver.list(either), signal)
  }

  onEnded(listener: (ended: Ended) => void): () => void {
    return this.#driver.onEnded((ended) => {
      this.#log?.debug({ driver: this.name, sandbox: ended.id, status: ended.status }, 'sandbox ended')
      listener(ended)
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#tails.values())
    await this.#driver.close()
  }

  #refuseUnable({ root, volumes = [] }: SandboxPlan): void {
    if (!this.roots.includes(root.kind))
      throw new SandboxError('not_supported', {
        what: `A root file system of kind "${root.kind}"`,
        reason: `the ${this.name} driver takes ${this.roots.join(', ')}`,
      })
    if (volumes.length > 0 && this.volumes === undefined)
      throw new SandboxError('not_supported', {
        what: 'A sandbox with volumes',
        reason: `the ${this.name} driver cannot mount them`,
      })
  }

  async #open(signal: AbortSignal): Promise<void> {
    await this.#driver.open(signal)
    const { memory } = this.#driver
    if (memory === undefined) return
    this.memory = new ManagedMemory(memory, (step, id, work, caller) =>
      id === null ? this.#bounded(step, null, work, caller) : this.#serial(step, id, work, caller),
    )
  }

  /** A start that ends after its caller was told that it failed is taken back. */
  async #start(plan: SandboxPlan, limit: AbortSignal): Promise<Stage[]> {
    const stages = await this.#driver.start(plan, limit)
    if (!limit.aborted) return stages
    await this.#driver.stop(plan.id)
    throw limit.reason
  }

  /** A channel that comes after its caller has gone is closed. */
  async #connect(id: string, limit: AbortSignal): Promise<Duplex> {
    const channel = await this.#driver.connect(id, limit)
    if (!limit.aborted) return channel
    channel.destroy()
    throw limit.reason
  }

  /** Runs a step when the sandbox's steps before it are over, those included that nobody waits for any more. */
  #serial<T>(
    step: Step,
    id: string,
    work: (limit: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const before = this.#tails.get(id) ?? Promise.resolve()
    const over = Promise.withResolvers<void>()
    const tail = over.promise.then(() => {
      if (this.#tails.get(id) === tail) this.#tails.delete(id)
    })
    this.#tails.set(id, tail)
    let begun = false
    const tracked = async (limit: AbortSignal) => {
      begun = true
      return work(limit).finally(over.resolve)
    }
    const turn = before.then(() => this.#bounded(step, id, tracked, signal))
    return turn.finally(() => {
      if (!begun) over.resolve()
    })
  }

  /** @param id null: the step is not about one sandbox. */
  async #bounded<T>(
    step: Step,
    id: string | null,
    work: (limit: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(this.#deadlines[step])
    const limit = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
    const began = performance.now()
    const facts = () => ({ driver: this.name, step, sandbox: id, ms: Math.round(performance.now() - began) })
    try {
      if (id !== null && !ID.test(id)) throw new TypeError(`"${id}" cannot be the id of a sandbox`)
      limit.throwIfAborted()
      const result = await orAborted(work(limit), limit)
      this.#log?.debug(facts(), 'driver step')
      return result
    } catch (error) {
      const explained = this.#explain(step, id, error, signal, deadline)
      this.#log?.warn({ ...facts(), err: explained }, 'driver step failed')
      throw explained
    }
  }

  #explain(
    step: Step,
    id: string | null,
    cause: unknown,
    signal: AbortSignal | undefined,
    deadline: AbortSignal,
  ): SandboxError {
    if (cause instanceof SandboxError) return cause
    const sandbox = id ?? ''
    const what = `${step} ${sandbox}`.trim()
    if (signal?.aborted) return new SandboxError('aborted', { what }, { cause })
    const late = deadline.aborted ? `it took longer than ${this.#deadlines[step]} ms` : null
    const reason = late ?? (cause instanceof Error ? cause.message : String(cause))
    switch (step) {
      case 'open':
      case 'router':
        return new SandboxError(
          'host_not_ready',
          { what: reason, fix: '"caisson doctor" says more.' },
          { cause },
        )
      case 'start':
        return new SandboxError('create_failed', { sandbox, stage: this.name, reason }, { cause })
      case 'connect':
        return new SandboxError('agent_lost', { sandbox, reason }, { cause })
      default:
        return new SandboxError('internal', { request: `${what}: ${reason}` }, { cause })
    }
  }
}
