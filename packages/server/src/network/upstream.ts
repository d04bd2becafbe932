import { Agent, type ClientRequest, request } from 'node:http'
import type { Socket } from 'node:net'
import type { Reached } from './reach.ts'
import { IDLE_MS, reset } from './splice.ts'

/** Bytes of headers that a server may answer with. */
const MAX_HEAD = 64 * 1024

/** A connection to the server of a target, for one request after the other. */
export class Upstream {
  readonly reached: Reached
  readonly #agent: SingleSocketAgent

  constructor(reached: Reached) {
    this.reached = reached
    this.#agent = new SingleSocketAgent(reached.socket)
    // It was made so that it can end half; here an end of the server is the end of the connection.
    reached.socket.once('end', () => reached.socket.end())
  }

  /** Whether it is open and takes another request. */
  get free(): boolean {
    return !this.reached.socket.destroyed && this.reached.socket.writable && this.#agent.free
  }

  request(method: string, path: string, headers: string[]): ClientRequest {
    const { target, address, port } = this.reached
    return request({
      agent: this.#agent,
      host: target.name ?? address,
      port,
      method,
      path,
      headers,
      maxHeaderSize: MAX_HEAD,
    })
  }

  close(): void {
    reset(this.reached.socket)
    this.#agent.destroy()
  }
}

/** Node reuses connections by way of an agent; this one has a connection and makes none. */
class SingleSocketAgent extends Agent {
  #unused: Socket | null

  constructor(socket: Socket) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1, timeout: IDLE_MS })
    this.#unused = socket
  }

  get free(): boolean {
    return this.#unused !== null || Object.keys(this.freeSockets).length > 0
  }

  override createConnection(): Socket {
    if (this.#unused === null) throw new Error('the connection to this server is closed')
    const socket = this.#unused
    this.#unused = null
    return socket
  }
}
