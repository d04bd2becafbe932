import { once } from 'node:events'
import { Agent } from 'node:http'
import { Sandbox } from 'caisson'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { TestServer } from '../test-server.ts'
import { PORTS, PortWorld, until } from './world.ts'

test('ports, links and their addresses outlive the server', async () => {
  await using world = await PortWorld.make()
  const { sandbox, server } = world
  const { token } = await sandbox.ports.link(PORTS.private)
  const before = await sandbox.ports.list()
  await server.kill9()
  await server.up()
  await world.find()
  const headers = { 'caisson-port-token': token }
  expect((await world.ask('/', { to: PORTS.private, headers })).status).toBe(200)
  expect((await world.ask('/')).status).toBe(200)
  const address = (url: string | null) => url?.replace(/:\d+\/$/, '')
  const after = await server.client().call('listPorts', { id: sandbox.id })
  expect(after.ports.map(({ url }) => address(url))).toEqual(before.map(({ url }) => address(url)))
})

test('an open request keeps a sandbox from being idle, a kept connection does not', async () => {
  await using world = await PortWorld.make()
  const client = world.server.client()
  const busy = async (id: string) => (await client.call('getSandbox', { id })).status === 'running'
  // Its program is an execution and keeps it busy; beside it, what the proxy does would not show.
  const sandbox = await Sandbox.create({
    client,
    idleTimeout: '0',
    ports: [{ port: 3000, access: 'public' }],
  })
  await sandbox.files.write('program.py', await world.sandbox.files.read('program.py'))
  await sandbox.sh('setsid python3 program.py 127.0.0.1 3000 >/dev/null 2>&1 &')
  const host = `3000-${sandbox.id.replace('_', '-')}.localhost`
  await until(async () => (await world.ask('/', { to: null, headers: { host } })).status === 200)
  const agent = new Agent({ keepAlive: true })
  expect((await world.ask('/', { to: null, agent, headers: { host } })).status).toBe(200)
  await until(async () => !(await busy(sandbox.id)))
  const stream = await world.open('/events', { to: null, headers: { host } })
  expect(await busy(sandbox.id)).toBe(true)
  stream.destroy()
  await until(async () => !(await busy(sandbox.id)))
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}/ws`, { headers: { host } })
  await once(socket, 'open')
  expect(await busy(sandbox.id)).toBe(true)
  socket.terminate()
  await until(async () => !(await busy(sandbox.id)))
  agent.destroy()
})

test('without a TCP listener ports have no address, and links still have tokens', async () => {
  await using server = await TestServer.start()
  const sandbox = await Sandbox.create({ client: server.client(), ports: [3000] })
  expect(await sandbox.ports.list()).toEqual([{ port: 3000, access: 'private', url: null }])
  expect(await sandbox.ports.link(3000)).toMatchObject({ url: null, token: expect.any(String) })
})

test('what is asked for is checked', async () => {
  await using world = await PortWorld.make()
  const { sandbox, server } = world
  const client = server.client()
  const refused = (work: Promise<unknown>) =>
    work.then(
      () => null,
      (error) => error.code,
    )
  expect(await refused(Sandbox.create({ client, ports: [80] }))).toBe('invalid_request')
  expect(await refused(Sandbox.create({ client, ports: [3000, 3000] }))).toBe('invalid_request')
  expect(await refused(sandbox.ports.expose(1023))).toBe('invalid_request')
  expect(await refused(sandbox.ports.unexpose(9000))).toBe('port_not_exposed')
  expect(await refused(sandbox.ports.link(9000))).toBe('port_not_exposed')
  expect(await refused(sandbox.ports.link(3001, { ttl: '31d' }))).toBe('invalid_request')
  for (let port = 10_000; port < 10_059; port++) await sandbox.ports.expose(port)
  expect(await refused(sandbox.ports.expose(20_000))).toBe('too_many')
  const { events } = await client.call('listEvents', { id: sandbox.id, limit: 100 })
  expect(events.filter(({ type }) => type === 'ports')).toHaveLength(59)
})
