import type { CallOptions, Client } from './client.ts'

/**
 * The environment that the next command gets from its sandbox; those that run keep theirs.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create({ env: { COLOR: 'blue' } })
 * await sandbox.env.set({ SIZE: 'large' })
 * await sandbox.env.delete('COLOR')
 * console.log((await sandbox.sh('echo "[$COLOR] $SIZE"')).stdout) // [] large
 * ```
 */
export class Variables {
  readonly #client: Client
  readonly #id: string

  constructor(client: Client, id: string) {
    this.#client = client
    this.#id = id
  }

  /** What its runtime, its creator and later calls have set; a command finds more, such as PATH. */
  async list(options: CallOptions = {}): Promise<Record<string, string>> {
    return (await this.#client.call('getEnvironment', { id: this.#id }, options)).env
  }

  /**
   * Sets variables, all or none; gives all there are then.
   *
   * @throws SandboxError `invalid_request` for a name that cannot be one, or that is reserved
   */
  set(values: Record<string, string>, options: CallOptions = {}): Promise<Record<string, string>> {
    return this.#update(values, options)
  }

  /** Deletes variables; one that is not there stays away. Gives those that are left. */
  delete(...names: string[]): Promise<Record<string, string>> {
    return this.#update(Object.fromEntries(names.map((name) => [name, null])), {})
  }

  async #update(env: Record<string, string | null>, options: CallOptions): Promise<Record<string, string>> {
    return (await this.#client.call('updateEnvironment', { id: this.#id, env }, options)).env
  }
}
