import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { StreamKind } from '@caisson/protocol/stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { KEYS, silent } from './fake.ts'
import { startServer, type TestServer } from './server.ts'

/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000 }

let server: TestServer
beforeEach(async () => {
  server = await startServer()
})
afterEach(() => server[Symbol.asyncDispose]())

interface Message {
  kind: number
  payload: Buffer
}

/** A socket, what came over it, and the code with which it closed. */
function dial(query = ''): {
  ws: WebSocket
  got: Message[]
  closed: Promise<number>
  opened: Promise<unknown>
} {
  const headers = { authorization: `Bearer ${KEYS.exec}` }
  const url = `ws://127.0.0.1:${server.port}/v1/executions/exe_1/connect${query}`
  const ws = new WebSocket(url, 'caisson.v1', { headers })
  const got: Message[] = []
  ws.on('message', (data: Buffer) => got.push({ kind: data[0]!, payload: data.subarray(1) }))
  return { ws, got, closed: once(ws, 'close').then(([code]) => code), opened: once(ws, 'open') }
}

const message = (kind: number, payload: string | Buffer = '') =>
  Buffer.concat([Buffer.of(kind), Buffer.from(payload)])

function outputOf(got: Message[]): Buffer {
  return Buffer.concat(got.filter(({ kind }) => kind === StreamKind.STDOUT).map(({ payload }) => payload))
}

test('output arrives whole, between started and ended', async () => {
  const bytes = randomBytes(3_000_000)
  server.fake.program = async function* () {
    yield { stream: 'stdout', data: bytes }
  }
  const { got, closed } = dial('?offset=5')
  expect(await closed).toBe(1000)
  expect(JSON.parse(got[0]!.payload.toString()).offset).toBe(5)
  expect(outputOf(got).equals(bytes.subarray(5))).toBe(true)
  expect(got.at(-1)!.kind).toBe(StreamKind.ENDED)
})

test('a gap is told between what is kept', async () => {
  server.fake.program = async function* () {
    yield { stream: 'stdout', data: Buffer.from('ab') }
    yield { stream: 'stdout', data: Buffer.from('cd'), gap: 10 }
  }
  const { got, closed } = dial()
  expect(await closed).toBe(1000)
  const { STARTED, STDOUT, GAP, ENDED } = StreamKind
  expect(got.map(({ kind }) => kind)).toEqual([STARTED, STDOUT, GAP, STDOUT, ENDED])
  expect(JSON.parse(got[2]!.payload.toString())).toEqual({ offset: 12 })
})

test('a viewer may begin near the end', async () => {
  server.fake.kept = 11
  server.fake.program = async function* () {
    yield { stream: 'stdout', data: Buffer.from('hello world') }
  }
  const { got, closed } = dial('?tail=5')
  expect(await closed).toBe(1000)
  expect(JSON.parse(got[0]!.payload.toString()).offset).toBe(6)
  expect(outputOf(got).toString()).toBe('world')
})

test('stdin, its end, sizes and signals reach the program in order', async () => {
  server.fake.program = silent
  const { ws, opened } = dial()
  await opened
  for (const word of ['one ', 'two ', 'three']) ws.send(message(StreamKind.STDIN, word))
  ws.send(message(StreamKind.STDIN_CLOSE))
  ws.send(message(StreamKind.RESIZE, '{"cols":100,"rows":30}'))
  ws.send(message(StreamKind.SIGNAL, '{"signal":"SIGINT","scope":"group"}'))
  await expect.poll(() => server.fake.stdinClosed && server.fake.signals.length, PATIENT).toBe(1)
  expect(Buffer.concat(server.fake.stdin).toString()).toBe('one two three')
  expect(server.fake.resizes).toEqual([[100, 30]])
  expect(server.fake.signals).toEqual(['SIGINT'])
  ws.terminate()
})

test('what was sent before leaving reaches the program', async () => {
  server.fake.program = silent
  const { ws, opened, closed } = dial()
  await opened
  ws.send(message(StreamKind.STDIN, 'last words'))
  ws.close()
  await closed
  await expect.poll(() => Buffer.concat(server.fake.stdin).toString(), PATIENT).toBe('last words')
  expect(server.fake.stdinClosed).toBe(false)
})

test('a program that does not read holds the sender back', async () => {
  server.fake.program = silent
  const gate = Promise.withResolvers<void>()
  server.fake.stdinGate = gate.promise
  const { ws, opened } = dial()
  await opened
  const piece = message(StreamKind.STDIN, randomBytes(1_000_000))
  for (let sent = 0; sent < 64; sent++) ws.send(piece)
  await expect.poll(() => ws.bufferedAmount, PATIENT).toBeGreaterThan(1_000_000)
  const held = ws.bufferedAmount
  expect(server.fake.stdin.length).toBe(0)
  expect(held).toBeGreaterThan(32_000_000)
  gate.resolve()
  await expect.poll(() => server.fake.stdin.length, PATIENT).toBe(64)
  ws.terminate()
})

test.each([
  ['an unknown kind', Buffer.of(99)],
  ['an empty message', Buffer.alloc(0)],
  ['text', 'hello'],
  ['a size that is no JSON', message(StreamKind.RESIZE, '{')],
  ['a size out of range', message(StreamKind.RESIZE, '{"cols":0,"rows":1}')],
  ['a signal with a field too many', message(StreamKind.SIGNAL, '{"signal":"SIGINT","pid":1}')],
])('%s is refused and named', async (_, bytes) => {
  server.fake.program = silent
  const { ws, got, opened, closed } = dial()
  await opened
  ws.send(bytes)
  expect(await closed).toBe(1008)
  expect(got.at(-1)!.kind).toBe(StreamKind.ERROR)
  expect(JSON.parse(got.at(-1)!.payload.toString()).error.code).toBe('invalid_request')
})

test('a message that is too large closes the connection', async () => {
  server.fake.program = silent
  const { ws, opened, closed } = dial()
  await opened
  ws.send(message(StreamKind.STDIN, Buffer.alloc(1_048_577)))
  expect(await closed).toBe(1009)
})

test('a client that leaves stops the reading', async () => {
  server.fake.program = silent
  const { ws, opened } = dial()
  await opened
  ws.terminate()
  await expect.poll(() => server.fake.left, PATIENT).toBe(1)
})

test.each([
  ['/v1/executions/exe_2/connect', 404, 'execution_not_found'],
  ['/v1/executions/exe_1/connect?offset=-1', 400, 'invalid_request'],
  ['/v1/executions/exe_1/connect?nonsense=1', 400, 'invalid_request'],
  ['/v1/elsewhere', 404, 'route_not_found'],
])('an upgrade of %s is answered as HTTP', async (path, status, code) => {
  const reply = await server.fetch('GET', path, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    },
  })
  expect([reply.status, reply.json.error.code]).toEqual([status, code])
})

test('another upgrade than to a WebSocket is an ordinary request', async () => {
  const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAA' }
  expect((await server.fetch('GET', '/healthz', { headers })).status).toBe(200)
})
