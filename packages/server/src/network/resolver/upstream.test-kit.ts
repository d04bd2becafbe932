import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Answer, decode, encode, type Packet, type RecordType } from 'dns-packet'
import { MessageStream } from './message-stream.ts'

/** What a scripted name server does with a question: records, or whole messages; null: nothing. */
export type Script = (asked: Asked) => Answer[] | Buffer | Buffer[] | null

export interface Asked {
  name: string
  type: RecordType
  id: number
  overTcp: boolean
  message: Buffer
}

/** A name server on loopback that answers by a script, over UDP and TCP, and keeps a log. */
export class ScriptedServer implements AsyncDisposable {
  readonly log: Asked[] = []
  readonly #datagrams = createSocket('udp4')
  readonly #server = createServer()
  script: Script
  /** Datagrams of hostile senders come from here. */
  readonly #stranger = createSocket('udp4')

  private constructor(script: Script) {
    this.script = script
  }

  static async start(script: Script): Promise<ScriptedServer> {
    const started = new ScriptedServer(script)
    await started.#listen()
    return started
  }

  get address(): string {
    return `127.0.0.1:${this.#datagrams.address().port}`
  }

  /** Names that were asked for. */
  names(): string[] {
    return this.log.map(({ name, type }) => `${type} ${name}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#datagrams.close()
    this.#stranger.close()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  async #listen(): Promise<void> {
    this.#server.on('connection', (socket) => {
      const stream = new MessageStream()
      socket.on('error', () => {})
      socket.on('data', (data) => {
        for (const message of stream.push(data))
          for (const answer of this.#answers(message, true)) socket.write(MessageStream.frame(answer))
      })
    })
    this.#server.listen({ host: '127.0.0.1', port: 0 })
    await once(this.#server, 'listening')
    const { port } = this.#server.address() as { port: number }
    this.#datagrams.on('message', (message, { port: to, address }) => {
      for (const answer of this.#answers(message, false)) this.#datagrams.send(answer, to, address)
    })
    this.#datagrams.bind(port, '127.0.0.1')
    await once(this.#datagrams, 'listening')
  }

  #answers(message: Buffer, overTcp: boolean): Buffer[] {
    const packet = decode(message)
    const { name, type } = (packet.questions ?? [])[0] as { name: string; type: RecordType }
    const asked = { name, type, id: packet.id ?? 0, overTcp, message }
    this.log.push(asked)
    const done = this.script(asked)
    if (done === null) return []
    if (Buffer.isBuffer(done)) return [done]
    return done.every(Buffer.isBuffer) ? (done as Buffer[]) : [replyTo(asked, { answers: done as Answer[] })]
  }
}

/** A complete answer to what was asked, with changes. `flags` are those of the header, the code with them. */
export function replyTo(asked: Pick<Asked, 'id' | 'name' | 'type'>, change: Packet): Buffer {
  return encode({
    type: 'response',
    id: asked.id,
    flags: 0x0180,
    questions: [{ name: asked.name, type: asked.type, class: 'IN' }],
    ...change,
  })
}

export const NXDOMAIN = 0x0183
export const SERVFAIL = 0x0182
export const TRUNCATED = 0x0380

export function a(name: string, data: string, ttl = 60): Answer {
  return { type: data.includes(':') ? 'AAAA' : 'A', name, data, ttl }
}

export function cname(name: string, data: string, ttl = 60): Answer {
  return { type: 'CNAME', name, data, ttl }
}
