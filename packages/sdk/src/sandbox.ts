import { SandboxError } from '@caisson/protocol/errors'
import type {
  CreateSnapshot,
  Event,
  Execution as ExecutionInfo,
  PauseDepth,
  Sandbox as SandboxInfo,
  Snapshot,
  Status,
  Usage,
  UsageSample,
} from '@caisson/protocol/resources'
import { Checkpoints } from './checkpoints.ts'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { createBody } from './create-body.ts'
import { type ConnectOptions, type CreateOptions, clientOf } from './create-options.ts'
import { type Command, type ExecOptions, execute, type Launch, type StartOptions, startBody } from './exec.ts'
import { Execution } from './execution.ts'
import { Files } from './files.ts'
import type { From } from './follow.ts'
import { Jobs } from './jobs.ts'
import { SandboxNetwork } from './network.ts'
import { Ports } from './ports.ts'
import type { ExecResult } from './result.ts'
import { SandboxPage } from './sandbox-page.ts'
import { type OpenTerminal, Terminal } from './terminal.ts'
import { Variables } from './variables.ts'

/** Which sandboxes are listed, and in which order. */
export type ListQuery = Omit<InputOf<'listSandboxes'>, 'metadata' | 'status' | 'createdAfter'> & {
  /** One of these. */
  status?: Status | Status[] | undefined
  /** At that time or later; text is ISO 8601. */
  createdAfter?: Date | string | undefined
  /** Every pair must match. */
  metadata?: Record<string, string> | undefined
}

/** Bash where there is one, since people expect its keys. */
const LOGIN_SHELL = 'command -v bash >/dev/null && exec bash -l; exec sh -l'

/**
 * An isolated Linux environment. A handle that was created owns its sandbox, and leaving `await using` deletes it; a
 * handle that was connected does not.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create({ resources: { memory: '512Mi' } })
 * const result = await sandbox.exec(['python3', '-c', 'print(6*7)'])
 * console.log(result.stdout) // 42
 * ```
 */
export class Sandbox implements AsyncDisposable {
  /** The record as it was when this handle was made or last refreshed. */
  info: SandboxInfo
  readonly files: Files
  /** Commands in the background. */
  readonly jobs: Jobs
  /** The environment of later commands. */
  readonly env: Variables
  /** What it may reach. */
  readonly network: SandboxNetwork
  /** By which ports it is reached. */
  readonly ports: Ports
  /** Save points of its files. */
  readonly checkpoints: Checkpoints
  readonly client: Client
  #owned: boolean

  private constructor(client: Client, info: SandboxInfo, owned: boolean) {
    this.client = client
    this.info = info
    this.#owned = owned
    this.files = new Files(client, info.id)
    this.jobs = new Jobs(client, info.id, () => this.info.resources.granted)
    this.env = new Variables(client, info.id)
    this.network = new SandboxNetwork(client, info.id)
    this.ports = new Ports(client, info.id)
    this.checkpoints = new Checkpoints(client, info.id, (info) => {
      this.info = info
    })
  }

  /**
   * Creates a sandbox and waits until it runs.
   *
   * @throws SandboxError `runtime_not_found`, `name_taken`, `not_supported`, `too_many`, `create_failed` …
   */
  static async create(options: CreateOptions = {}): Promise<Sandbox> {
    const client = clientOf(options.client)
    const idempotencyKey = crypto.randomUUID()
    const info = await client.call('createSandbox', createBody(options), {
      idempotencyKey,
      signal: options.signal,
    })
    return new Sandbox(client, info, true)
  }

  /**
   * Connects to a sandbox that exists, by id or name.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using made = await Sandbox.create({ name: 'workbench' })
   * const again = await Sandbox.connect('workbench')
   * console.log(again.id === made.id) // true
   * ```
   * @throws SandboxError `sandbox_not_found`
   */
  static async connect(idOrName: string, options: ConnectOptions = {}): Promise<Sandbox> {
    const client = clientOf(options.client)
    const info = await client.call('getSandbox', { id: idOrName }, { signal: options.signal })
    return new Sandbox(client, info, false)
  }

  /**
   * Lists sandboxes, a page at a time; iterating a page goes on through the pages after it.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * for await (const sandbox of await Sandbox.list({ metadata: { team: 'a' } })) console.log(sandbox.id)
   * ```
   */
  static async list(query: ListQuery = {}, options: ConnectOptions = {}): Promise<SandboxPage> {
    const client = clientOf(options.client)
    const { metadata, status, createdAfter, ...rest } = query
    const input = {
      ...rest,
      ...(status !== undefined && { status: [status].flat() }),
      ...(createdAfter !== undefined && { createdAfter: timeText(createdAfter) }),
      ...(metadata && { metadata: JSON.stringify(metadata) }),
    }
    const { sandboxes, total } = await client.call('listSandboxes', input, { signal: options.signal })
    const after = (query.offset ?? 0) + sandboxes.length
    return new SandboxPage(
      sandboxes.map((info) => new Sandbox(client, info, false)),
      total,
      sandboxes.length > 0 && after < total
        ? () => Sandbox.list({ ...query, offset: after }, { ...options, client })
        : undefined,
    )
  }

  get id(): string {
    return this.info.id
  }

  get name(): string | null {
    return this.info.name
  }

  /**
   * Runs a command to its end. A non-zero exit code is a result. An array is a program with its arguments; a text is
   * a script for `/bin/sh`.
   *
   * @throws SandboxError `command_not_found`, `cannot_start`, `sandbox_ended`, `agent_lost`, `aborted` …
   */
  exec(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return execute(this.client, this.#launch(), command, options)
  }

  /** Runs a script with `/bin/sh`. */
  sh(script: string, options: ExecOptions = {}): Promise<ExecResult> {
    return this.exec(['/bin/sh', '-c', script], options)
  }

  /** Runs a program with `python3`. */
  python(code: string, options: ExecOptions = {}): Promise<ExecResult> {
    return this.exec(['python3', '-c', code], options)
  }

  /** Starts a command and returns at once. `stdin: true` keeps its stdin open for `execution.stdin`. */
  async start(
    command: Command,
    options: StartOptions & { stdin?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<Execution> {
    const input = { id: this.id, ...startBody(command, options), ...(options.stdin && { stdin: true }) }
    const idempotencyKey = crypto.randomUUID()
    const info = await this.client.call('startExecution', input, { idempotencyKey, signal: options.signal })
    return new Execution(this.client, info, this.info.resources.granted)
  }

  /**
   * Starts a program in a terminal, by default a login shell.
   *
   * @throws SandboxError as `start()`
   */
  async terminal(options: OpenTerminal = {}): Promise<Terminal> {
    const { cols = 80, rows = 24, command = ['/bin/sh', '-c', LOGIN_SHELL], ...rest } = options
    return new Terminal(await this.start(command, { ...rest, tty: { cols, rows }, stdin: true }))
  }

  /**
   * A handle of an execution by its id, or of the newest running one with that tag. Its output is read from `offset`,
   * or from `tail` bytes before the end.
   *
   * @throws SandboxError `execution_not_found`
   */
  async attach(
    idOrTag: string,
    options: CallOptions & { offset?: number | undefined; tail?: number | undefined } = {},
  ): Promise<Execution> {
    const { offset = 0, tail, signal } = options
    const info = (await this.#byId(idOrTag, signal)) ?? (await this.#byTag(idOrTag, signal))
    if (!info) throw new SandboxError('execution_not_found', { execution: idOrTag })
    const from: From = tail === undefined ? { offset } : { tail }
    return new Execution(this.client, info, this.info.resources.granted, from)
  }

  /** A page of executions, newest first. */
  async executions(
    query: Omit<InputOf<'listExecutions'>, 'id'> = {},
    options: CallOptions = {},
  ): Promise<ExecutionInfo[]> {
    return (await this.client.call('listExecutions', { ...query, id: this.id }, options)).executions
  }

  /**
   * Everything that runs now, jobs and terminals too.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * await sandbox.start(['sleep', '60'], { tag: 'nap' })
   * for (const process of await sandbox.processes()) await process.kill()
   * ```
   */
  async processes(options: CallOptions = {}): Promise<Execution[]> {
    const found: Execution[] = []
    for (;;) {
      const query = { state: 'running', direction: 'asc', limit: 100, offset: found.length } as const
      const page = await this.executions(query, options)
      for (const info of page) found.push(new Execution(this.client, info, this.info.resources.granted))
      if (page.length < query.limit) return found
    }
  }

  /** A page of what happened to it, oldest first. */
  async events(query: Omit<InputOf<'listEvents'>, 'id'> = {}, options: CallOptions = {}): Promise<Event[]> {
    return (await this.client.call('listEvents', { ...query, id: this.id }, options)).events
  }

  /**
   * Memory, CPU time and processes that it uses now.
   *
   * @throws SandboxError `not_supported` where the driver cannot tell
   */
  usage(options: CallOptions = {}): Promise<Usage> {
    return this.client.call('getUsage', { id: this.id }, options)
  }

  /**
   * What it used in the last hours, sampled about every minute, and now, oldest first.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * const [now] = (await sandbox.metrics({ start: new Date(Date.now() - 60_000) })).slice(-1)
   * if (now) console.log(now.memoryBytes < now.memoryLimitBytes) // true
   * ```
   * @throws SandboxError `not_supported` where the driver cannot tell
   */
  async metrics(
    options: CallOptions & { start?: Date | string | undefined; end?: Date | string | undefined } = {},
  ): Promise<UsageSample[]> {
    const { signal, start, end } = options
    const input = {
      id: this.id,
      ...(start !== undefined && { start: timeText(start) }),
      ...(end !== undefined && { end: timeText(end) }),
    }
    return (await this.client.call('listUsage', input, { signal })).samples
  }

  /**
   * The address of an exposed port. One that is private answers to it with a token: `ports.link()` makes them.
   *
   * @example
   * ```ts
   * import { Sandbox, SandboxError } from 'caisson'
   *
   * await using sandbox = await Sandbox.create({ ports: [3000] })
   * try {
   *   console.log(await sandbox.url(3001))
   * } catch (error) {
   *   if (SandboxError.is(error, 'port_not_exposed')) await sandbox.ports.expose(3001)
   * }
   * ```
   * @throws SandboxError `port_not_exposed`; `not_supported` when the server listens on no TCP port
   */
  async url(port: number, options: CallOptions = {}): Promise<string> {
    const exposed = (await this.ports.list(options)).find((each) => each.port === port)
    if (!exposed && this.info.allPorts === null)
      throw new SandboxError('port_not_exposed', { sandbox: this.id, port })
    const url = exposed ? exposed.url : (await this.ports.link(port, options)).url
    // A link has a token, and this is the address alone.
    if (url !== null) return url.replace(/\?.*$/, '')
    const reason = 'the server listens on no TCP port; start it with "caisson serve --listen <host:port>"'
    throw new SandboxError('not_supported', { what: `An address for port ${port}`, reason })
  }

  /** Changes description, metadata, idle timeout, or the time that is left. */
  async update(change: Omit<InputOf<'updateSandbox'>, 'id'>, options: CallOptions = {}): Promise<this> {
    this.info = await this.client.call('updateSandbox', { ...change, id: this.id }, options)
    return this
  }

  /** Lets it live so long from now on: milliseconds or text such as "1h"; 0 is without end. */
  extend(ttl: string | number, options: CallOptions = {}): Promise<this> {
    return this.update({ ttl }, options)
  }

  /**
   * Pauses it, to its own `pauseDepth` unless another is given; pausing deeper what is paused is allowed. Any command,
   * file or SSH connection resumes it.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create({ files: { 'a.txt': 'kept' } })
   * await sandbox.pause({ depth: 'filesystem' })
   * const { stdout, autoResumed } = await sandbox.exec(['cat', 'a.txt'])
   * console.log(stdout, autoResumed) // kept true
   * ```
   * @throws SandboxError `not_supported` for a depth that the server cannot; `pause_failed`
   */
  async pause(options: CallOptions & { depth?: PauseDepth | undefined } = {}): Promise<this> {
    const { signal, depth } = options
    const input = { id: this.id, ...(depth !== undefined && { depth }) }
    this.info = await this.client.call('pauseSandbox', input, { signal })
    return this
  }

  /**
   * Resumes it; resuming one that runs changes nothing. `ttl` is the time it may live from now on, default: what was
   * left of it.
   *
   * @throws SandboxError `resume_failed`: it is paused as before
   */
  async resume(options: CallOptions & { ttl?: string | number | undefined } = {}): Promise<this> {
    const { signal, ttl } = options
    const input = { id: this.id, ...(ttl !== undefined && { ttl }) }
    this.info = await this.client.call('resumeSandbox', input, { signal })
    return this
  }

  /**
   * Copies of it as it is now, in a time that does not depend on its size; it goes on. The handles own their sandboxes.
   *
   * @throws SandboxError `not_supported` where files, or with `memory` processes, cannot be copied; `create_failed`
   */
  async fork(options: CallOptions & Omit<InputOf<'forkSandbox'>, 'id'> = {}): Promise<Sandbox[]> {
    const { signal, idempotencyKey = crypto.randomUUID(), ...asked } = options
    const input = { ...asked, id: this.id }
    const { sandboxes } = await this.client.call('forkSandbox', input, { signal, idempotencyKey })
    return sandboxes.map((info) => new Sandbox(this.client, info, true))
  }

  /**
   * Saves its files for new sandboxes: `Sandbox.create({ snapshot: 'name:tag' })`. It goes on.
   *
   * @throws SandboxError as `client.snapshots.create()`
   */
  snapshot(snapshot: CreateSnapshot = {}, options: CallOptions = {}): Promise<Snapshot> {
    return this.client.snapshots.create(this.id, snapshot, options)
  }

  /** Reads the record again. */
  async refresh(options: CallOptions = {}): Promise<this> {
    this.info = await this.client.call('getSandbox', { id: this.id }, options)
    return this
  }

  /** Ends the sandbox and everything in it; one that has ended stays as it is. */
  async delete(options: CallOptions = {}): Promise<void> {
    this.info = await this.client.call('deleteSandbox', { id: this.id }, options)
  }

  /** Gives up ownership: the sandbox stays when this handle goes. */
  keep(): this {
    this.#owned = false
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owned) await this.delete()
  }

  // Undefined when there is none, or when a tag could not be an id.
  async #byId(execution: string, signal: AbortSignal | undefined): Promise<ExecutionInfo | undefined> {
    if (!/^[\w-]{1,64}$/.test(execution)) return undefined
    try {
      return await this.client.call('getExecution', { execution }, { signal })
    } catch (error) {
      if (SandboxError.is(error, 'execution_not_found')) return undefined
      throw error
    }
  }

  async #byTag(tag: string, signal: AbortSignal | undefined): Promise<ExecutionInfo | undefined> {
    return (await this.executions({ tag, state: 'running', limit: 1 }, { signal }))[0]
  }

  #launch(): Launch {
    const idempotencyKey = crypto.randomUUID()
    return {
      first: (body, signal) =>
        this.client.stream('exec', { id: this.id, ...body }, { signal, idempotencyKey }),
      repeatable: true,
      leavingEnds: false,
      resources: () => this.info.resources.granted,
    }
  }
}

const timeText = (time: Date | string): string => (typeof time === 'string' ? time : time.toISOString())
