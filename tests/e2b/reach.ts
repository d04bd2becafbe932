import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Namespace } from '../network/namespaces.ts'

const node = join(import.meta.dirname, '../../node_modules/.bin/node')

/** A port of this machine's loopback that leads to one inside a network namespace: servers there are clients' to reach. */
export class Reach implements AsyncDisposable {
  readonly port: number
  readonly #directory: string
  readonly #server: Server
  readonly #open: Set<Socket>
  #relay: ChildProcess | undefined

  private constructor(directory: string, server: Server, open: Set<Socket>) {
    this.#directory = directory
    this.#server = server
    this.#open = open
    this.port = (server.address() as AddressInfo).port
  }

  /** Takes a port; nothing is behind it before `lead`. */
  static async open(): Promise<Reach> {
    const directory = await mkdtemp('/tmp/caisson-t-')
    const open = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      const far = connect({ path: join(directory, 'relay'), allowHalfOpen: true })
      for (const socket of [near, far]) {
        open.add(socket)
        socket.once('close', () => open.delete(socket))
      }
      near.on('error', () => far.destroy())
      far.on('error', () => near.resetAndDestroy())
      // A far end that is destroyed by a reset closes without an end.
      far.once('close', () => near.readable && !far.readableEnded && near.resetAndDestroy())
      near.pipe(far)
      far.pipe(near)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Reach(directory, server, open)
  }

  /** @param port of the namespace's loopback */
  async lead(namespace: Namespace, port: number): Promise<void> {
    const relay = [node, join(import.meta.dirname, 'relay.ts'), join(this.#directory, 'relay'), String(port)]
    const [file, args] = namespace.command(relay)
    this.#relay = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    await once(this.#relay, 'message', { signal: AbortSignal.timeout(30_000) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
    const relay = this.#relay
    if (relay && relay.exitCode === null && relay.kill()) await once(relay, 'exit')
    await rm(this.#directory, { recursive: true, force: true })
  }
}
