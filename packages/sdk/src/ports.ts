import type { ExposedPort } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { OutputOf } from './contract.ts'

/** A link that opens a private port until it expires, and its token for programs. */
export type PortLink = OutputOf<'linkPort'>

/**
 * Ports of a sandbox that the server makes reachable by HTTP and WebSocket. They need no network: a program that
 * listens on the sandbox's loopback is enough.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create({ ports: [3000, { port: 8080, access: 'public' }] })
 * await sandbox.jobs.start(['python3', '-m', 'http.server', '3000'])
 * for (const { port, access } of await sandbox.ports.list()) console.log(port, access)
 * const { token } = await sandbox.ports.link(3000, { ttl: '1h' })
 * console.log(token.length > 0) // for the header caisson-port-token
 * ```
 */
export class Ports {
  readonly #client: Client
  readonly #id: string

  constructor(client: Client, id: string) {
    this.#client = client
    this.#id = id
  }

  /** Exposed ports, ascending. */
  async list(options: CallOptions = {}): Promise<ExposedPort[]> {
    return (await this.#client.call('listPorts', { id: this.#id }, options)).ports
  }

  /**
   * Exposes a port from 1024 on, or changes who may reach it: "private", the default, asks for a token; "public" lets
   * in whoever has the address.
   *
   * @throws SandboxError `too_many`, `sandbox_ended`
   */
  expose(
    port: number,
    options: CallOptions & { access?: ExposedPort['access'] | undefined } = {},
  ): Promise<ExposedPort> {
    const { signal, access = 'private' } = options
    return this.#client.call('exposePort', { id: this.#id, port, access }, { signal })
  }

  /**
   * Exposes it no longer; open connections to it are cut.
   *
   * @throws SandboxError `port_not_exposed`
   */
  unexpose(port: number, options: CallOptions = {}): Promise<void> {
    return this.#client.call('unexposePort', { id: this.#id, port }, options)
  }

  /**
   * A link that opens a private port in a browser, for a day unless `ttl` says otherwise.
   *
   * @throws SandboxError `port_not_exposed`
   */
  link(
    port: number,
    options: CallOptions & {
      /** Milliseconds, or text such as "30m"; at most 30 days. */
      ttl?: string | number | undefined
    } = {},
  ): Promise<PortLink> {
    const { signal, ttl } = options
    return this.#client.call(
      'linkPort',
      { id: this.#id, port, ...(ttl !== undefined && { ttl }) },
      { signal },
    )
  }
}
