import type { JobStatus } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { type Command, type StartOptions, startBody } from './exec.ts'
import { Execution } from './execution.ts'
import type { ResourcesGranted } from './result.ts'

/** How a job is started; it has no time limit unless one is given. */
export interface JobOptions extends StartOptions {
  /** Keeps stdin open for `job.stdin`. */
  stdin?: boolean | undefined
  signal?: AbortSignal | undefined
}

/**
 * A command in the background that outlives request, client and server. It is an execution, so its output, input and
 * signals are an execution's.
 */
export class Job extends Execution {
  readonly #client: Client

  constructor(...[client, ...rest]: ConstructorParameters<typeof Execution>) {
    super(client, ...rest)
    this.#client = client
  }

  /** As of `info`: "completed" is exit code 0, "cancelled" that it was asked to end, "failed" any other ending. */
  get status(): JobStatus {
    const { state, ending, exitCode } = this.info
    if (state !== 'ended') return state
    if (ending === 'cancelled') return 'cancelled'
    return exitCode === 0 ? 'completed' : 'failed'
  }

  /**
   * Asks it to end and waits until it has: SIGTERM, and SIGKILL when it does not heed that. One that has ended stays
   * as it is.
   */
  async stop(options: CallOptions & { force?: boolean | undefined } = {}): Promise<JobStatus> {
    const { signal, force } = options
    const input = { id: this.sandboxId, job: this.id, force }
    this.info = await this.#client.call('stopJob', input, { signal })
    return this.status
  }
}

/**
 * The jobs of a sandbox.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create()
 * const job = await sandbox.jobs.start('for i in 1 2 3; do echo step $i; done')
 * for await (const text of job.logs({ follow: true })) process.stdout.write(text)
 * await job.wait()
 * console.log(job.status, (await sandbox.jobs.list()).length) // completed 1
 * ```
 */
export class Jobs {
  readonly #client: Client
  readonly #id: string
  readonly #resources: () => ResourcesGranted | null

  constructor(client: Client, id: string, resources: () => ResourcesGranted | null) {
    this.#client = client
    this.#id = id
    this.#resources = resources
  }

  /** Starts a job and returns at once. */
  async start(command: Command, options: JobOptions = {}): Promise<Job> {
    const { signal, stdin } = options
    const input = { id: this.#id, ...startBody(command, options), ...(stdin && { stdin }) }
    const idempotencyKey = crypto.randomUUID()
    const info = await this.#client.call('createJob', input, { idempotencyKey, signal })
    return new Job(this.#client, info, this.#resources())
  }

  /** @throws SandboxError `execution_not_found` */
  async get(job: string, options: CallOptions = {}): Promise<Job> {
    const info = await this.#client.call('getJob', { id: this.#id, job }, options)
    return new Job(this.#client, info, this.#resources())
  }

  /** A page of jobs, newest first. */
  async list(query: Omit<InputOf<'listJobs'>, 'id'> = {}, options: CallOptions = {}): Promise<Job[]> {
    const { jobs } = await this.#client.call('listJobs', { ...query, id: this.#id }, options)
    return jobs.map((info) => new Job(this.#client, info, this.#resources()))
  }
}
