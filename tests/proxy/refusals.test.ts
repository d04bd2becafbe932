import { Sandbox } from 'caisson'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Asked, PORTS, PortWorld, until } from './world.ts'

let world: PortWorld
beforeAll(async () => {
  world = await PortWorld.make()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const PAGE = { accept: 'text/html,application/xhtml+xml' }

async function refusal(path: string, options: Asked) {
  const [json, page] = [
    await world.ask(path, options),
    await world.ask(path, { ...options, headers: { ...options.headers, ...PAGE } }),
  ]
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  expect([page.status, page.headers['cache-control']]).toEqual([json.status, 'no-store'])
  expect(page.text).toContain(json.json.error.code)
  return {
    status: json.status,
    code: json.json.error.code,
    message: json.json.error.message,
    page: page.text,
  }
}

test('a closed port says what to do', async () => {
  const { status, code, message, page } = await refusal('/', { to: PORTS.closed })
  expect([status, code]).toEqual([502, 'port_closed'])
  expect(message).toContain('Start a program that listens on it')
  expect(page).toContain('Nothing answers on this port yet')
})

test('a port that is not exposed', async () => {
  const { status, code, message } = await refusal('/', { to: PORTS.hidden })
  expect([status, code]).toEqual([502, 'port_not_exposed'])
  expect(message).toContain('caisson port add')
})

test.each(['22', '80', '1', '0', '65536', '99999'])('port %s is no exposed one', async (port) => {
  const host = world.host(PORTS.public).replace(/^\d+/, port)
  expect((await refusal('/', { to: null, headers: { host } })).code).toBe('port_not_exposed')
})

test('an unknown sandbox, and names instead of ids', async () => {
  await using named = await Sandbox.create({
    client: world.server.client(),
    name: 'guessable',
    ports: [{ port: 3000, access: 'public' }],
  })
  for (const id of ['sbx-aaaaaaaaaaaaaaaaaaaa', 'x', named.info.name])
    expect(await refusal('/', { to: null, headers: { host: `3000-${id}.localhost` } })).toMatchObject({
      status: 502,
      code: 'sandbox_not_found',
    })
})

test('a sandbox that has ended', async () => {
  const ended = await Sandbox.create({
    client: world.server.client(),
    ports: [{ port: 3000, access: 'public' }],
  })
  await ended.delete()
  const host = `3000-${ended.id.replace('_', '-')}.localhost`
  expect(await refusal('/', { to: null, headers: { host } })).toMatchObject({
    status: 502,
    code: 'sandbox_ended',
  })
})

test.each(['/garbage', '/status?line=099+Low', '/status?line=1000+High', '/status?line=101+Switch'])(
  'an answer that can not be passed on: %s',
  async (path) => {
    expect(await world.ask(path)).toMatchObject({ status: 502, json: { error: { code: 'port_closed' } } })
    expect((await world.ask('/')).status).toBe(200)
  },
)

test('an answer that nobody asked for is nobody’s', async () => {
  for (let i = 0; i < 10; i++) {
    expect((await world.ask('/talkative')).text).toBe('ok')
    expect((await world.ask('/mine')).text).toContain('/mine')
  }
})

test('no answer, however malformed, does the server harm', async () => {
  const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
  for (let seed = 0; seed < 200; seed++) {
    await world.ask(`/noise?seed=${seed}`).catch(() => {})
    const head = `GET /noise-for-ws?seed=${seed} HTTP/1.1\r\nHost: ${world.host(PORTS.public)}\r\n`
    await world.raw(head + upgrade, 20)
  }
  expect((await world.ask('/')).status).toBe(200)
  expect(world.server.log()).not.toContain('"level":50')
})

test('a program that dies with a request in hand', async () => {
  await world.listen('127.0.0.1', PORTS.any)
  const asked = world.ask('/hang', { to: PORTS.any })
  await world.sandbox.sh(`pkill -f '[p]rogram.py 127.0.0.1 ${PORTS.any}'`)
  expect((await asked).json.error.code).toBe('port_closed')
})

test('one sandbox’s visitors do not reach another', async () => {
  await using other = await Sandbox.create({
    client: world.server.client(),
    ports: [{ port: 3000, access: 'public' }],
  })
  const host = `3000-${other.id.replace('_', '-')}.localhost`
  expect((await refusal('/', { to: null, headers: { host } })).code).toBe('port_closed')
})

test('a sandbox that is deleted while it is asked', async () => {
  const doomed = await Sandbox.create({
    client: world.server.client(),
    ports: [{ port: 3000, access: 'public' }],
  })
  const host = `3000-${doomed.id.replace('_', '-')}.localhost`
  await doomed.jobs.start(['python3', '-c', LISTENER])
  await until(async () => (await doomed.sh('grep -q :0BB8 /proc/net/tcp')).exitCode === 0)
  const asked = world.ask('/', { to: null, headers: { host } })
  await until(async () => (await doomed.sh('grep -q ":0BB8 .* 01 " /proc/net/tcp')).exitCode === 0)
  await doomed.delete()
  expect((await asked).status).toBe(502)
})

/** Accepts and says nothing. */
const LISTENER = `
import socket
s = socket.create_server(("127.0.0.1", 3000))
held = []
while True: held.append(s.accept())
`
