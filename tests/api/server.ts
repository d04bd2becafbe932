import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { type Api, type ApiOptions, createApi } from '../../packages/server/src/api/app.ts'
import { createMetrics } from '../../packages/server/src/metrics.ts'
import { FakeUseCases, KEYS } from './fake.ts'

export interface Reply {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any
}

/** An API over the fake, on a unix socket and a free TCP port. */
export interface TestServer extends AsyncDisposable {
  api: Api
  fake: FakeUseCases
  directory: string
  socketPath: string
  port: number
  stopped: () => boolean
  logs: string[]
  /** Over TCP; with the admin key unless headers say otherwise. */
  fetch(method: string, path: string, options?: RequestOptions & { body?: string | Buffer }): Promise<Reply>
  open(
    method: string,
    path: string,
    options?: RequestOptions & { body?: string | Buffer },
  ): Promise<IncomingMessage>
  /** Sends bytes to the TCP port and answers with all that comes back. */
  raw(bytes: string): Promise<string>
}

export async function startServer(changes: Partial<ApiOptions> = {}): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-api-'))
  const fake = new FakeUseCases()
  const logs: string[] = []
  let stopped = false
  const api = await createApi({
    useCases: fake as ApiOptions['useCases'],
    log: pino({ level: 'trace' }, { write: (line: string) => void logs.push(line) }),
    metrics: createMetrics(fake.gauges),
    version: '0.1.0',
    doctor: async () => ({ ok: true, driver: 'memory', storage: 'memory', isolation: 'none', checks: [] }),
    stop: () => {
      stopped = true
    },
    ready: () => ({ ready: true }),
    checkAnswers: true,
    ...changes,
  })
  const socketPath = join(directory, 'run', 'api.sock')
  await api.listeners.listenUnix(socketPath)
  const { port } = await api.listeners.listenTcp('127.0.0.1:0')
  const open: TestServer['open'] = (method, path, { body, headers, ...options } = {}) =>
    new Promise((resolve, reject) => {
      const target = options.socketPath === undefined ? { host: '127.0.0.1', port } : {}
      const authorization = `Bearer ${KEYS.admin}`
      const json = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
      const merged = { authorization, ...json, ...(headers as Record<string, string>) }
      const request = httpRequest(
        { method, path, agent: false, ...target, ...options, headers: merged },
        resolve,
      )
      request.on('error', reject)
      request.end(body)
    })
  return {
    api,
    fake,
    directory,
    socketPath,
    port,
    logs,
    stopped: () => stopped,
    open,
    fetch: async (...args) => collect(await open(...args)),
    raw: (bytes) => exchange(port, bytes),
    [Symbol.asyncDispose]: async () => {
      await api.close()
      await rm(directory, { recursive: true })
    },
  }
}

export async function collect(response: IncomingMessage): Promise<Reply> {
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  const body = Buffer.concat(pieces)
  const isJson = response.headers['content-type']?.startsWith('application/json')
  return {
    status: response.statusCode!,
    headers: response.headers,
    body,
    json: isJson && body.length > 0 ? JSON.parse(body.toString()) : undefined,
  }
}

function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.end(bytes, 'latin1')
  })
}

/** Splits a binary execution stream into its records. */
export function records(bytes: Buffer): { kind: number; payload: Buffer }[] {
  const found: { kind: number; payload: Buffer }[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 1)
    found.push({ kind: bytes[at]!, payload: bytes.subarray(at + 5, at + 5 + length) })
    at += 5 + length
  }
  return found
}

/** The records of an execution stream in JSON lines. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into records of every shape.
export function lines(bytes: Buffer): any[] {
  return bytes
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}
