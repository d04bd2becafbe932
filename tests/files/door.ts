import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TestServer } from '../fixture.ts'

export interface Reply {
  status: number
  headers: IncomingMessage['headers']
  trailers: IncomingMessage['trailers']
  body: Buffer
  /** The error's code; null for success. */
  error: string | null
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any
}

export interface Sent {
  headers?: Record<string, string>
  body?: Uint8Array | string | object | AsyncIterable<Uint8Array>
}

/** A request over the server's unix socket. Objects are sent as JSON; streams chunked. */
export async function open(
  server: TestServer,
  method: string,
  path: string,
  { headers, body }: Sent = {},
): Promise<IncomingMessage> {
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array) && !(Symbol.asyncIterator in body)
  const sent = request({
    socketPath: server.socketPath,
    agent: false,
    method,
    path,
    headers: { ...(isJson && { 'content-type': 'application/json' }), ...headers },
  })
  const answered = once(sent, 'response')
  // A server that has answered may close while the rest is still on its way.
  sent.on('error', () => {})
  if (body !== undefined && typeof body === 'object' && Symbol.asyncIterator in body) {
    // A refusal may come before everything was sent.
    pipeline(Readable.from(body), sent).catch(() => {})
  } else sent.end(isJson ? JSON.stringify(body) : body)
  const [response] = (await answered) as [IncomingMessage]
  return response
}

export async function fetch(
  server: TestServer,
  method: string,
  path: string,
  options: Sent = {},
): Promise<Reply> {
  const response = await open(server, method, path, options)
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  const body = Buffer.concat(pieces)
  const isJson = response.headers['content-type']?.startsWith('application/json')
  const json = isJson ? JSON.parse(body.toString()) : undefined
  const { statusCode: status = 0, headers, trailers } = response
  return { status, headers, trailers, body, json, error: json?.error?.code ?? null }
}

/** The files of one sandbox, over HTTP. */
export class FileDoor {
  readonly id: string
  readonly #server: TestServer

  private constructor(server: TestServer, id: string) {
    this.#server = server
    this.id = id
  }

  static async create(server: TestServer): Promise<FileDoor> {
    const { status, json } = await fetch(server, 'POST', '/v1/sandboxes', { body: {} })
    if (status !== 201) throw new Error(JSON.stringify(json))
    return new FileDoor(server, json.id)
  }

  path(operation: string, query: Record<string, string | number | boolean> = {}): string {
    const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    return `/v1/sandboxes/${this.id}/files${operation}?${pairs.join('&')}`
  }

  get(
    operation: string,
    query: Record<string, string | number | boolean> = {},
    options?: Sent,
  ): Promise<Reply> {
    return fetch(this.#server, 'GET', this.path(operation, query), options)
  }

  put(
    operation: string,
    query: Record<string, string | number | boolean>,
    body: Sent['body'],
  ): Promise<Reply> {
    return fetch(this.#server, 'PUT', this.path(operation, query), { body: body ?? '' })
  }

  post(
    operation: string,
    query: Record<string, string | number | boolean>,
    body: Sent['body'],
  ): Promise<Reply> {
    return fetch(this.#server, 'POST', this.path(operation, query), { body: body ?? '' })
  }

  write(path: string, content: Uint8Array | string): Promise<Reply> {
    return this.put('/content', { path }, content)
  }

  async read(path: string): Promise<string> {
    const { status, body } = await this.get('/content', { path })
    return status === 200 ? body.toString() : `status ${status}`
  }

  unpack(body: Sent['body'], path: string, format = 'auto'): Promise<Reply> {
    return this.post('/archive', { path, format }, body)
  }

  /** Runs a shell script as the sandbox's user; answers with what it printed. @throws when it fails */
  async sh(script: string): Promise<string> {
    const { body } = await fetch(this.#server, 'POST', `/v1/sandboxes/${this.id}/exec`, {
      body: { argv: ['sh', '-c', script] },
    })
    const records = body
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const output = records
      .filter((record) => record.data !== undefined)
      .map((record) => Buffer.from(record.data, record.encoding === 'base64' ? 'base64' : 'utf8'))
    const text = Buffer.concat(output).toString()
    const last = records.at(-1)
    if (last.execution?.exitCode !== 0) throw new Error(`${script}: ${text} ${JSON.stringify(last)}`)
    return text
  }
}
