import { Namespace, removeLeftovers } from '../tests/network/namespaces.ts'
import { BenchServer } from './server.ts'

/** A server on a host of its own, whose one way out leads nowhere: nothing of this machine's network is touched. */
export class NetworkedServer implements AsyncDisposable {
  readonly server: BenchServer
  readonly #host: Namespace

  private constructor(host: Namespace, server: BenchServer) {
    this.#host = host
    this.server = server
  }

  static async start(workDir: string, env: Record<string, string> = {}): Promise<NetworkedServer> {
    await removeLeftovers()
    const host = await Namespace.make('bench')
    try {
      await host.exec('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1')
      await host.ip([
        'link add wan type veth peer name far',
        'addr add 93.115.0.2/30 dev wan',
        'link set wan up',
      ])
      await host.ip(['route add default via 93.115.0.1'])
      return new NetworkedServer(host, await BenchServer.start(workDir, env, host.name))
    } catch (error) {
      await host.remove()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.#host.remove()
  }
}
