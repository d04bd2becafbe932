import { Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PORTS, PortWorld } from './world.ts'

let world: PortWorld
beforeAll(async () => {
  world = await PortWorld.make(
    {},
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how it is written.
    { allPorts: 'public', portHost: 'localhost:${PORT}', ports: [PORTS.private] },
  )
  await world.listen('127.0.0.1', PORTS.any)
})
afterAll(() => world?.[Symbol.asyncDispose]())

describe('a sandbox that exposes every port', () => {
  test('answers at those that are not listed', async () => {
    expect((await world.ask('/', { to: PORTS.public })).status).toBe(200)
    expect((await world.ask('/', { to: PORTS.any })).status).toBe(200)
    expect((await world.ask('/', { to: 80 })).json.error.code).toBe('port_closed')
    expect(await world.sandbox.url(PORTS.any)).toBe(`http://${world.host(PORTS.any)}:${world.port}/`)
  })

  test.each([0, 65_536])('has no port %s', async (port) => {
    expect((await world.ask('/', { to: port })).json.error.code).toBe('port_not_exposed')
  })

  test('keeps what is listed as it is listed', async () => {
    expect((await world.ask('/', { to: PORTS.private })).status).toBe(401)
    const { token } = await world.sandbox.ports.link(PORTS.private)
    const headers = { 'caisson-port-token': token }
    expect((await world.ask('/', { to: PORTS.private, headers })).status).toBe(200)
  })

  test('closes a port to those without a token when it is listed as private', async () => {
    const stream = await world.open('/events', { to: PORTS.any })
    const broken = new Promise((resolve) => stream.once('error', resolve))
    stream.resume()
    await world.sandbox.ports.expose(PORTS.any)
    await broken
    expect((await world.ask('/', { to: PORTS.any })).status).toBe(401)
    await world.sandbox.ports.unexpose(PORTS.any)
    expect((await world.ask('/', { to: PORTS.any })).status).toBe(200)
  })

  test('has none to take back that was not listed', async () => {
    await expect(world.sandbox.ports.unexpose(PORTS.any)).rejects.toMatchObject({ code: 'port_not_exposed' })
  })

  test('tells its programs the Host that they shall see, and the real one beside it', async () => {
    const { json } = await world.ask('/', { to: PORTS.public })
    const { host, 'X-Forwarded-Host': forwarded } = Object.fromEntries(json.headers)
    expect([host, forwarded]).toEqual([
      `localhost:${PORTS.public}`,
      `${world.host(PORTS.public)}:${world.port}`,
    ])
  })
})

test('privately, every port asks for a token, which is good for that port alone', async () => {
  await using sandbox = await Sandbox.create({ client: world.server.client(), allPorts: 'private' })
  const job = await sandbox.jobs.start(['python3', '-u', '-m', 'http.server', '4321', '--bind', '127.0.0.1'])
  for await (const text of job.logs({ follow: true })) if (text.includes('Serving')) break
  const host = (port: number) => `${port}-${sandbox.id.replaceAll('_', '-')}.localhost`
  const ask = (port: number, token = 'x') =>
    world.ask('/', { to: null, headers: { host: host(port), 'caisson-port-token': token } })
  const { token } = await sandbox.ports.link(4321)
  const other = await sandbox.ports.link(4322)
  expect((await ask(4321)).status).toBe(401)
  expect((await ask(4321, other.token)).status).toBe(401)
  expect((await ask(4321, token)).status).toBe(200)
})

test.each(['a b', 'a\r\nX-Evil: 1', 'http://a', 'a/b', '', 'a:b'])('"%s" is no Host', async (portHost) => {
  const made = Sandbox.create({ client: world.server.client(), portHost })
  await expect(made).rejects.toMatchObject({ code: 'invalid_request' })
})

test('every port is listed to whoever asks', async () => {
  const { info } = world.sandbox
  expect([info.allPorts, info.portHost]).toEqual(['public', `localhost:${'$'}{PORT}`])
})

test('a server that was killed goes on with all of it', async () => {
  const { token } = await world.sandbox.ports.link(PORTS.private)
  await world.server.kill9()
  await world.server.up()
  await world.find()
  const open = await world.ask('/', { to: PORTS.public })
  expect(Object.fromEntries(open.json.headers).host).toBe(`localhost:${PORTS.public}`)
  const headers = { 'caisson-port-token': token }
  expect((await world.ask('/', { to: PORTS.private, headers })).status).toBe(200)
  expect((await world.ask('/', { to: PORTS.private })).status).toBe(401)
})
