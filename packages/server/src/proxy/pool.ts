import { Agent, type AgentOptions, type ClientRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { OpenPort } from '../sandboxes/use-cases.ts'

/** Milliseconds that a connection waits for the next request: fewer than programs keep theirs open. */
const IDLE_MS = 4000
/** Connections of one port that may wait at once. */
const MAX_IDLE = 8

/** Kept connections by sandbox and port. */
export class Pools {
  readonly #pools = new Map<string, PortPool>()

  /** The connections of a port, for as long as it is exposed to the same people. */
  of(reached: OpenPort, port: number): PortPool {
    const key = `${reached.sandbox}:${port}`
    const known = this.#pools.get(key)
    if (known?.reached.closed === reached.closed) return known
    known?.close()
    const pool = new PortPool(reached, port, () => {
      if (this.#pools.get(key) === pool) this.#pools.delete(key)
    })
    this.#pools.set(key, pool)
    return pool
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close()
  }
}

/** Connections to one port. Idle ones do not count as activity of the sandbox, and go soon. */
export class PortPool extends Agent {
  readonly reached: OpenPort
  readonly port: number
  readonly #sockets = new Set<Duplex>()
  readonly #idle = new Map<Duplex, () => void>()
  readonly #onEmpty: () => void
  #connecting = 0

  constructor(reached: OpenPort, port: number, onEmpty: () => void) {
    super({ keepAlive: true, maxFreeSockets: MAX_IDLE })
    this.reached = reached
    this.port = port
    this.#onEmpty = onEmpty
    reached.closed.addEventListener('abort', this.close)
  }

  /** A connection of one's own, which breaks with the port's being exposed. */
  async connect(signal?: AbortSignal): Promise<Duplex> {
    const { closed } = this.reached
    const either = signal === undefined ? closed : AbortSignal.any([signal, closed])
    this.#connecting++
    try {
      const socket = await this.reached.connect(either)
      this.#sockets.add(socket)
      socket.once('close', () => this.#forget(socket))
      if (closed.aborted) socket.destroy()
      return socket
    } catch (error) {
      throw this.withdrawn() ?? error
    } finally {
      this.#connecting--
      this.#closeIfUnused()
    }
  }

  /** Why nothing passes any more; null while the port is exposed as it was. */
  withdrawn(): SandboxError | null {
    const { closed, sandbox } = this.reached
    return closed.aborted ? new SandboxError('port_not_exposed', { sandbox, port: this.port }) : null
  }

  override createConnection(
    _options: AgentOptions,
    done?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    this.connect().then(
      (socket) => done?.(null, socket),
      (error) => (done as ((error: Error) => void) | undefined)?.(error),
    )
  }

  /** The program may end a connection that waits, and has nothing to say over it. */
  override keepSocketAlive(socket: Duplex): boolean {
    if (socket.destroyed || socket.readableEnded) return false
    const drop = () => socket.destroy()
    const timer = setTimeout(drop, IDLE_MS).unref()
    socket.on('data', drop).on('end', drop)
    this.#idle.set(socket, () => {
      clearTimeout(timer)
      socket.off('data', drop).off('end', drop)
    })
    socket.resume()
    return true
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    this.#stopWaiting(socket)
    request.reusedSocket = true
  }

  /** Gives up the connections that wait, of which one has turned out to be dead. */
  dropIdle(): void {
    for (const socket of this.#idle.keys()) socket.destroy()
  }

  /** Cuts all connections. */
  close = (): void => {
    this.reached.closed.removeEventListener('abort', this.close)
    this.#onEmpty()
    for (const socket of this.#sockets) socket.destroy()
  }

  #forget(socket: Duplex): void {
    this.#stopWaiting(socket)
    this.#sockets.delete(socket)
    this.#closeIfUnused()
  }

  #closeIfUnused(): void {
    if (this.#sockets.size === 0 && this.#connecting === 0) this.close()
  }

  #stopWaiting(socket: Duplex): void {
    this.#idle.get(socket)?.()
    this.#idle.delete(socket)
  }
}
