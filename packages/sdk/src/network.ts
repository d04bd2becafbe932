import type {
  Destination,
  NetworkAsked,
  NetworkExplanation,
  NetworkLogEntry,
  NetworkState,
} from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'

/**
 * What a sandbox may reach, and what it has reached. Sandboxes have no network unless they are created with one, or
 * get one later.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * // With a network from the beginning: Sandbox.create({ network: { allow: ['pypi.org', '*.pythonhosted.org'] } })
 * await using sandbox = await Sandbox.create()
 * console.log(sandbox.info.network.mode) // none
 * const { verdict, message } = await sandbox.network.explain('example.com:443')
 * console.log(verdict, message) // refused, and what would change it
 * ```
 */
export class SandboxNetwork {
  readonly #client: Client
  readonly #id: string

  constructor(client: Client, id: string) {
    this.#client = client
    this.#id = id
  }

  /** The rules in force, its own addresses, and what it has sent and received. */
  get(options: CallOptions = {}): Promise<NetworkState> {
    return this.#client.call('getNetwork', { id: this.#id }, options)
  }

  /**
   * Replaces all rules at once; `true` is the public internet, `false` nothing. Open connections are judged anew at
   * their next packet: those that the new rules refuse are reset.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * await sandbox.network.set(false)
   * // await sandbox.network.set({ allow: ['github.com', '*.github.com', 'github.com:22'] })
   * console.log((await sandbox.network.get()).network.mode) // none
   * ```
   * @throws SandboxError `invalid_request` for an entry that cannot be one; `not_supported`, `sandbox_ended`
   */
  set(network: NetworkAsked, options: CallOptions = {}): Promise<NetworkState> {
    return this.#client.call('setNetwork', { id: this.#id, network }, options)
  }

  /** A page of what was refused and why, oldest first, or newest first with `reverse`. */
  async log(
    query: Omit<InputOf<'readNetworkLog'>, 'id'> = {},
    options: CallOptions = {},
  ): Promise<NetworkLogEntry[]> {
    return (await this.#client.call('readNetworkLog', { ...query, id: this.#id }, options)).entries
  }

  /** A page of what it has connected to, most recent first. */
  async destinations(
    query: Omit<InputOf<'listDestinations'>, 'id'> = {},
    options: CallOptions = {},
  ): Promise<Destination[]> {
    return (await this.#client.call('listDestinations', { ...query, id: this.#id }, options)).destinations
  }

  /**
   * Whether it may reach a name or an address, and why. Nothing is connected to; a name is resolved.
   *
   * @param destination `example.com`, `example.com:22`, `1.2.3.4:443`, `[2001:db8::1]:443`
   */
  explain(destination: string, options: CallOptions = {}): Promise<NetworkExplanation> {
    return this.#client.call('explainNetwork', { id: this.#id, destination }, options)
  }

  /** The shortest allow list that lets pass what it has used; it says most for a sandbox with `learn`. */
  async learned(options: CallOptions = {}): Promise<string[]> {
    return (await this.get(options)).learned
  }
}
