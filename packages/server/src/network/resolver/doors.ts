import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { drained } from '../../drained.ts'
import { Undo } from '../../undo.ts'
import { MessageStream } from './message-stream.ts'

/** Who asks: the address says which sandbox it is, the port which of its sockets. */
export interface Asker {
  readonly protocol: 'udp' | 'tcp'
  readonly address: string
  readonly port: number
}

/** @returns the answer; null: there is none, and a connection is closed */
export type Handle = (message: Buffer, asker: Asker) => Promise<Buffer | null>

/** Connections at once, of one address and of all. */
const MAX_OF_ONE = 16
const MAX_OF_ALL = 1024
/** Milliseconds that a connection may do nothing. */
const IDLE_MS = 10_000
/** Bytes of datagrams that wait for the server, so that a burst of all sandboxes is not lost. */
const RECEIVE_BUFFER = 1024 * 1024

/**
 * Listens for questions at an address, by UDP and TCP at the same port.
 * @param port 0: any
 * @returns the port, and the undo, which ends all connections
 */
export async function openDoor(
  address: string,
  port: number,
  handle: Handle,
): Promise<{ port: number; close(): Promise<void> }> {
  await using undo = new Undo()
  const server = createServer()
  const connections = new Connections(server, handle)
  undo.add(() => connections.close())
  server.listen({ host: address, port, backlog: 512 })
  await once(server, 'listening')
  const { port: bound } = server.address() as { port: number }
  const socket = createSocket({
    type: address.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: RECEIVE_BUFFER,
  })
  undo.add(() => closeDatagrams(socket))
  answerDatagrams(socket, handle)
  socket.bind(bound, address)
  await once(socket, 'listening')
  const closing = undo.move()
  return { port: bound, close: () => closing[Symbol.asyncDispose]() }
}

function answerDatagrams(socket: Datagrams, handle: Handle): void {
  let isOpen = true
  socket.once('close', () => {
    isOpen = false
  })
  // An answer that could not be sent is as good as lost, and the client asks again.
  socket.on('error', () => {})
  socket.on('message', async (message, { address, port }) => {
    const answer = await handle(message, { protocol: 'udp', address, port })
    if (answer !== null && isOpen) socket.send(answer, port, address, () => {})
  })
}

async function closeDatagrams(socket: Datagrams): Promise<void> {
  const closed = once(socket, 'close')
  socket.close()
  await closed
}

/** One question after the other on each: an answer that is not read holds up only what its own sender asks. */
class Connections {
  readonly #server: Server
  readonly #handle: Handle
  readonly #open = new Set<Socket>()
  readonly #ofOne = new Map<string, number>()

  constructor(server: Server, handle: Handle) {
    this.#server = server
    this.#handle = handle
    server.on('connection', (socket) => void this.#serve(socket))
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  async #serve(socket: Socket): Promise<void> {
    const { remoteAddress: address, remotePort: port } = socket
    socket.on('error', () => {})
    const count = this.#ofOne.get(address ?? '') ?? 0
    if (address === undefined || port === undefined || count >= MAX_OF_ONE || this.#open.size >= MAX_OF_ALL) {
      socket.resetAndDestroy()
      return
    }
    this.#open.add(socket)
    this.#ofOne.set(address, count + 1)
    socket.once('close', () => this.#forget(socket, address))
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    await this.#converse(socket, { protocol: 'tcp', address, port }).catch(() => {})
    socket.destroySoon()
  }

  async #converse(socket: Socket, asker: Asker): Promise<void> {
    const stream = new MessageStream()
    for await (const data of socket) {
      for (const message of stream.push(data)) {
        const answer = await this.#handle(message, asker)
        if (answer === null || socket.destroyed) return
        if (!socket.write(MessageStream.frame(answer))) await drained(socket)
      }
    }
  }

  #forget(socket: Socket, address: string): void {
    this.#open.delete(socket)
    const left = (this.#ofOne.get(address) ?? 1) - 1
    if (left > 0) this.#ofOne.set(address, left)
    else this.#ofOne.delete(address)
  }
}
