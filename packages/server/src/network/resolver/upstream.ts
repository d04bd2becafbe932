import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { RecordType } from 'dns-packet'
import { orAborted } from '../../abort.ts'
import { within } from './abort.ts'
import { MessageStream } from './message-stream.ts'
import type { NameServer } from './name-servers.ts'
import { encodeQuestion, parseReply, type Reply } from './wire.ts'

export interface UpstreamLimits {
  /** Milliseconds that a name server has for its answer. */
  readonly answerMs: number
  /** Milliseconds after which a question fails, whatever was tried: less than the 5 s after which clients ask again. */
  readonly questionMs: number
  /** Questions that are asked at once; more wait. Each has a socket of its own. */
  readonly sockets: number
}

export const UPSTREAM_LIMITS: UpstreamLimits = { answerMs: 2000, questionMs: 4500, sockets: 512 }

/** Asks the host's name servers. Each question has its own port and id, so that an answer cannot be guessed. */
export class Upstream {
  readonly #servers: readonly NameServer[]
  readonly #limits: UpstreamLimits
  readonly #closed = new AbortController()
  /** The server that answered last is asked first. */
  #best = 0
  #open = 0
  readonly #waiting: (() => void)[] = []

  constructor(servers: readonly NameServer[], limits: UpstreamLimits = UPSTREAM_LIMITS) {
    this.#servers = servers
    this.#limits = limits
  }

  /** @param name canonical. @throws when no server gives an answer in time */
  ask(name: string, type: RecordType): Promise<Reply> {
    return within(this.#limits.questionMs, this.#closed.signal, async (signal) => {
      await this.#claim(signal)
      try {
        return await this.#askInTurn(name, type, signal)
      } finally {
        this.#open--
        this.#waiting.shift()?.()
      }
    })
  }

  close(): void {
    this.#closed.abort(new Error('the resolver is closed'))
  }

  async #askInTurn(name: string, type: RecordType, signal: AbortSignal): Promise<Reply> {
    const first = this.#best
    let failure: unknown
    for (let turn = 0; turn < Math.max(2, this.#servers.length); turn++) {
      const at = (first + turn) % this.#servers.length
      try {
        const server = this.#servers[at] as NameServer
        const reply = await within(this.#limits.answerMs, signal, (signal) =>
          askOne(server, name, type, signal),
        )
        this.#best = at
        return reply
      } catch (error) {
        if (signal.aborted) throw error
        failure = error
      }
    }
    throw failure
  }

  async #claim(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#open >= this.#limits.sockets) {
      const turn = Promise.withResolvers<void>()
      this.#waiting.push(turn.resolve)
      const leave = () => {
        const at = this.#waiting.indexOf(turn.resolve)
        if (at >= 0) this.#waiting.splice(at, 1)
        turn.reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      await turn.promise.finally(() => signal.removeEventListener('abort', leave))
    }
    this.#open++
  }
}

async function askOne(
  server: NameServer,
  name: string,
  type: RecordType,
  signal: AbortSignal,
): Promise<Reply> {
  const byUdp = await overUdp(server, name, type, signal)
  const reply = byUdp.truncated ? await overTcp(server, name, type, signal) : byUdp
  if (reply.rcode === 'NOERROR' || reply.rcode === 'NXDOMAIN') return reply
  throw new Error(`${server.address} answered ${reply.rcode}`)
}

/** What is not the answer is passed over: it may be a guess of somebody else. */
async function overUdp(
  server: NameServer,
  name: string,
  type: RecordType,
  signal: AbortSignal,
): Promise<Reply> {
  const id = randomInt(0x1_0000)
  const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4')
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    promise.catch(() => {})
    socket.on('error', reject)
    // A connected socket takes datagrams of that server only.
    socket.connect(server.port, server.address)
    await once(socket, 'connect', { signal })
    socket.on('message', (message) => {
      const reply = parseReply(message, { id, name, type })
      if (reply !== null) resolve(reply)
    })
    socket.send(encodeQuestion(id, name, type))
    return await orAborted(promise, signal)
  } finally {
    socket.close()
  }
}

async function overTcp(
  server: NameServer,
  name: string,
  type: RecordType,
  signal: AbortSignal,
): Promise<Reply> {
  const id = randomInt(0x1_0000)
  const socket = connect({ host: server.address, port: server.port, noDelay: true })
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const stream = new MessageStream()
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`${server.address} closed the connection`)))
    socket.on('data', (data) => {
      for (const message of stream.push(data)) {
        const reply = parseReply(message, { id, name, type })
        if (reply === null) reject(new Error(`${server.address} answered something else`))
        else resolve({ ...reply, truncated: false })
      }
    })
    socket.write(MessageStream.frame(encodeQuestion(id, name, type)))
    return await orAborted(promise, signal)
  } finally {
    socket.destroy()
  }
}
