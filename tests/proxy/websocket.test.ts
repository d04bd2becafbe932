import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'
import { PORTS, PortWorld, until } from './world.ts'

let world: PortWorld
beforeAll(async () => {
  world = await PortWorld.make()
})
afterAll(() => world?.[Symbol.asyncDispose]())

function open(path = '/ws', to = PORTS.public, options: ClientOptions = {}): WebSocket {
  const headers = { host: world.host(to), ...options.headers }
  return new WebSocket(`ws://127.0.0.1:${world.port}${path}`, { ...options, headers })
}

/** The status with which it was refused. */
function refusal(socket: WebSocket): Promise<number | undefined> {
  socket.on('error', () => {})
  return new Promise((resolve) => {
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode))
    socket.once('open', () => resolve(101))
    socket.once('close', () => resolve(undefined))
  })
}

test('messages pass both ways, small and large', async () => {
  const socket = open()
  await once(socket, 'open')
  for (const size of [0, 1, 125, 126, 60_000]) {
    const sent = randomBytes(size)
    socket.send(sent)
    const [got] = await once(socket, 'message')
    expect(got.equals(sent)).toBe(true)
  }
  socket.close(1000)
  const [code] = await once(socket, 'close')
  expect(code).toBe(1000)
})

test('the program sees the request and who made it', async () => {
  await world.heads()
  const socket = open('/ws?x=1', PORTS.public, { headers: { 'x-forwarded-for': '6.6.6.6', cookie: 'a=1' } })
  await once(socket, 'open')
  socket.terminate()
  const [head = ''] = await world.heads()
  expect(head).toMatch(/^GET \/ws\?x=1 HTTP\/1\.1\r\n/)
  expect(head).toContain('X-Forwarded-For: 127.0.0.1\r\n')
  expect(head).toContain('cookie: a=1\r\n')
  expect(head).not.toContain('6.6.6.6')
})

test('a private port takes the token from cookie, query or header', async () => {
  const { token } = await world.sandbox.ports.link(PORTS.private)
  const ways: [string, Record<string, string>][] = [
    ['/ws', { cookie: `caisson_port_token=${token}` }],
    [`/ws?caisson_token=${token}`, {}],
    ['/ws', { 'caisson-port-token': token }],
  ]
  for (const [path, headers] of ways) {
    const socket = open(path, PORTS.private, { headers })
    expect(await refusal(socket)).toBe(101)
    socket.terminate()
  }
  expect(await refusal(open('/ws', PORTS.private))).toBe(401)
  const elsewhere = { cookie: `caisson_port_token=${token}`, origin: 'http://evil.example' }
  expect(await refusal(open('/ws', PORTS.private, { headers: elsewhere }))).toBe(401)
})

test.each([
  ['a program that refuses', '/no-ws', PORTS.public, 403],
  ['a closed port', '/ws', PORTS.closed, 502],
  ['a port that is not exposed', '/ws', PORTS.hidden, 502],
  ['a program that answers nonsense', '/garbage', PORTS.public, 502],
])('%s', async (_, path, port, status) => {
  expect(await refusal(open(path, port))).toBe(status)
})

test('it ends when the port is exposed no longer, when the program ends, and when the client goes', async () => {
  const { sandbox } = world
  const cut = open()
  await once(cut, 'open')
  const wasCut = once(cut, 'close')
  await sandbox.ports.unexpose(PORTS.public)
  await wasCut
  await sandbox.ports.expose(PORTS.public, { access: 'public' })

  await world.listen('127.0.0.1', PORTS.any)
  const left = open('/ws', PORTS.any)
  await once(left, 'open')
  const wasLeft = once(left, 'close')
  await sandbox.sh(`pkill -9 -f '[p]rogram.py 127.0.0.1 ${PORTS.any}'`)
  await wasLeft

  const gone = open()
  await once(gone, 'open')
  gone.terminate()
  const peers = 'grep -c ":0BB8 .* 01 " /proc/net/tcp'
  await until(async () => Number((await sandbox.sh(peers)).stdout) <= 1)
})
