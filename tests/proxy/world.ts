import { readdir, readFile, readlink } from 'node:fs/promises'
import {
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CreateOptions, Sandbox } from 'caisson'
import { type ServerOptions, TestServer } from '../test-server.ts'

const PROGRAM = join(import.meta.dirname, 'program.py')
const DEADLINE_MS = 20_000

/** Where the programs of a world listen, and on which address. */
export const PORTS = { public: 3000, private: 3001, ipv6: 3002, any: 3003, closed: 3999, hidden: 4000 }

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any
  /** The answer broke off. */
  broken: boolean
  raw: IncomingMessage
}

export interface Asked extends Omit<RequestOptions, 'headers'> {
  headers?: OutgoingHttpHeaders
  body?: string | Buffer | AsyncIterable<Uint8Array>
  /** The port of the sandbox, named by Host; null: none, the request is as it is. */
  to?: number | null
}

/** A server with TCP, and a sandbox with programs whose ports are exposed. */
export class PortWorld implements AsyncDisposable {
  readonly server: TestServer
  readonly sandbox: Sandbox
  /** Of the TCP listener. */
  port = 0
  readonly #domain: string

  private constructor(server: TestServer, sandbox: Sandbox, domain: string) {
    this.#domain = domain
    this.server = server
    this.sandbox = sandbox
  }

  static async make(options: ServerOptions = {}, more: Partial<CreateOptions> = {}): Promise<PortWorld> {
    const server = await TestServer.start({ listen: '127.0.0.1:0', ...options })
    try {
      const ports = [
        { port: PORTS.public, access: 'public' as const },
        PORTS.private,
        { port: PORTS.ipv6, access: 'public' as const },
        { port: PORTS.any, access: 'public' as const },
        { port: PORTS.closed, access: 'public' as const },
      ]
      const sandbox = await Sandbox.create({ client: server.client(), idleTimeout: '0', ports, ...more })
      const world = new PortWorld(server, sandbox, `${options.config?.previewDomain ?? 'localhost'}`)
      await world.find()
      await sandbox.files.write('program.py', await readFile(PROGRAM))
      await world.listen('127.0.0.1', PORTS.public)
      await world.listen('127.0.0.1', PORTS.private)
      return world
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Learns where the server is; to be called again after a restart. */
  async find(): Promise<void> {
    const { pid } = await this.server.client().call('getServer')
    this.port = await listeningPort(pid)
  }

  /** Starts the program at a port and waits until it listens. */
  async listen(host: string, port: number): Promise<void> {
    const job = await this.sandbox.jobs.start(['python3', 'program.py', host, `${port}`])
    for await (const text of job.logs({ follow: true })) if (text.includes('listening')) return
  }

  /** `<port>-<id>.<domain>`, as links name it. */
  host(port: number): string {
    return `${port}-${this.sandbox.id.replaceAll('_', '-')}.${this.#domain}`
  }

  /** Sends a request to a port of the sandbox; resolves at the end of the answer. */
  async ask(path: string, options: Asked = {}): Promise<Answer> {
    const raw = await this.open(path, options)
    const pieces: Buffer[] = []
    let broken = false
    try {
      for await (const piece of raw) pieces.push(piece)
    } catch {
      broken = true
    }
    const body = Buffer.concat(pieces)
    const isJson = raw.headers['content-type']?.startsWith('application/json') && body.length > 0
    return {
      status: raw.statusCode as number,
      headers: raw.headers,
      body,
      text: body.toString(),
      json: isJson ? JSON.parse(body.toString()) : undefined,
      broken,
      raw,
    }
  }

  /** As `ask`, at the head of the answer. */
  open(path: string, { body, headers, to = PORTS.public, ...options }: Asked = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const host = to === null ? {} : { host: `${this.host(to)}:${this.port}` }
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port: this.port,
          path,
          agent: false,
          ...options,
          headers: { ...host, ...headers },
        },
        resolve,
      )
      request.on('error', reject)
      if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) request.end(body)
      else void pour(body, request)
    })
  }

  /** Sends bytes and gives all that comes back until the server closes, or is silent for some time. */
  raw(bytes: string, silence = 500): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1')
      let text = ''
      socket.setTimeout(silence, () => socket.destroy())
      socket.on('data', (data) => {
        text += data.toString('latin1')
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(text))
      socket.write(Buffer.from(bytes, 'latin1'))
    })
  }

  /** The heads that the program at the public port has been sent since it was asked last. */
  async heads(): Promise<string[]> {
    const { heads } = (await this.ask('/log')).json as { heads: string[] }
    const news = heads.slice(this.#seen)
    this.#seen = heads.length + 1
    return news
  }
  #seen = 0

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }
}

/** The port that a process listens on, by the kernel's word: what the server says may be the address of a proxy. */
async function listeningPort(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`
  const targets = await Promise.all(
    (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')),
  )
  const inodes = new Set(targets.map((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1]))
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/))
  const found = lines.find(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode))
  return Number.parseInt(found?.[1]?.split(':')[1] ?? '', 16)
}

async function pour(source: AsyncIterable<Uint8Array>, target: NodeJS.WritableStream): Promise<void> {
  for await (const data of source)
    if (!target.write(data)) await new Promise((resolve) => target.once('drain', resolve))
  target.end()
}

/** Waits until `condition` holds; fails when it never does. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + DEADLINE_MS; !(await condition()); await sleep(20))
    if (Date.now() > end) throw new Error(`waited in vain for: ${condition}`)
}
