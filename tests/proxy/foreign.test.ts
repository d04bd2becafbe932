import { Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Asked, PORTS, PortWorld } from './world.ts'

let world: PortWorld
beforeAll(async () => {
  world = await PortWorld.make()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const foreignId = (sandbox: Sandbox) => sandbox.id.replace('sbx_', 'i')
const hostOf = (sandbox: Sandbox, port: number) => `${port}-${foreignId(sandbox)}.localhost`
const byHost = (port: number, path = '/', options: Asked = {}, sandbox = world.sandbox) =>
  world.ask(path, { ...options, to: null, headers: { host: hostOf(sandbox, port), ...options.headers } })
const byHeaders = (family: string, port: number | string, more = {}, id = foreignId(world.sandbox)) =>
  world.ask('/a?b', {
    to: null,
    headers: {
      host: 'any.example',
      [`${family}-sandbox-id`]: id,
      [`${family}-sandbox-port`]: `${port}`,
      ...more,
    },
  })

describe('a port is named as other clients do', () => {
  test.each(['E2b', 'Moru'])('by the headers of %s, which the program does not see', async (family) => {
    const { status, json, text } = await byHeaders(family, PORTS.public)
    expect([status, json.target]).toEqual([200, '/a?b'])
    expect(text.toLowerCase()).not.toContain('sandbox-')
  })

  test('by host, for HTTP and WebSocket', async () => {
    expect((await byHost(PORTS.public, '/x')).json.target).toBe('/x')
    const socket = new WebSocket(`ws://127.0.0.1:${world.port}/ws`, {
      headers: { host: hostOf(world.sandbox, PORTS.public) },
    })
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    socket.terminate()
  })

  test.each([
    ['two families', { 'moru-sandbox-id': 'x', 'moru-sandbox-port': '1' }],
    ['half of another family', { 'caisson-sandbox-id': 'x' }],
  ])('%s at once lead nowhere', async (_, more) => {
    expect((await byHeaders('e2b', PORTS.public, more)).status).toBe(400)
  })

  test.each(['', '0x10', '3000, 3001', '-1', '123456'])('port "%s" is none', async (port) => {
    expect((await byHeaders('e2b', port)).status).toBe(400)
  })

  test('one header without the other leads nowhere', async () => {
    for (const headers of [{ 'moru-sandbox-id': foreignId(world.sandbox) }, { 'moru-sandbox-port': '3000' }])
      expect((await world.ask('/', { to: null, headers: { host: 'any.example', ...headers } })).status).toBe(
        400,
      )
  })

  test('a header that is there twice leads nowhere', async () => {
    const lines = [
      'GET / HTTP/1.1',
      'Host: any.example',
      `E2b-Sandbox-Id: ${foreignId(world.sandbox)}`,
      'E2b-Sandbox-Port: 3000',
      'E2b-Sandbox-Port: 3001',
      'Connection: close',
    ]
    expect(await world.raw(`${lines.join('\r\n')}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('what a host names counts, whatever headers say', async () => {
    const headers = { 'e2b-sandbox-id': foreignId(world.sandbox), 'e2b-sandbox-port': `${PORTS.private}` }
    const { status, text } = await world.ask('/', { headers })
    expect([status, text.toLowerCase().includes('e2b-')]).toEqual([200, false])
  })
})

describe('refusals have the shape that those clients read', () => {
  test.each(['i', 'sbx_'])('there is no such sandbox: %s', async (prefix) => {
    const id = `${prefix}${'a'.repeat(20)}`
    const { status, json } = await byHeaders('e2b', 3000, {}, id)
    expect([status, json]).toEqual([502, { sandboxId: id, message: 'The sandbox was not found', code: 502 }])
  })

  test('names are no ids', async () => {
    await using named = await Sandbox.create({ client: world.server.client(), name: 'idle-name' })
    const { status, json } = await byHeaders('e2b', 3000, {}, named.name as string)
    expect([status, json.message]).toEqual([502, 'The sandbox was not found'])
  })

  test('the sandbox has ended', async () => {
    const sandbox = await Sandbox.create({ client: world.server.client(), allPorts: 'public' })
    await sandbox.delete()
    const { status, json } = await byHost(3000, '/', {}, sandbox)
    expect([status, json.code, json.message]).toEqual([502, 502, 'The sandbox was not found'])
  })

  test('the sandbox is paused, and requests do not resume it', async () => {
    const client = world.server.client()
    await using sandbox = await Sandbox.create({ client, allPorts: 'public' })
    await sandbox.pause({ depth: 'filesystem' })
    const { status, json } = await byHost(3000, '/', {}, sandbox)
    expect([status, json.message]).toEqual([502, 'The sandbox was not found'])
    expect((await sandbox.refresh()).info.status).not.toBe('idle')
  })

  test.each([PORTS.closed, PORTS.hidden])('nobody listens, or is to be reached, at port %s', async (port) => {
    const { status, json } = await byHost(port)
    const message = 'The sandbox is running but port is not open'
    expect([status, json]).toEqual([502, { sandboxId: foreignId(world.sandbox), message, port, code: 502 }])
  })

  test('the port is private', async () => {
    const { status, json } = await byHost(PORTS.private)
    expect([status, json.code, json.sandboxId]).toEqual([403, 403, foreignId(world.sandbox)])
    expect(json.message).toContain('e2b-traffic-access-token')
  })

  test('browsers get a page', async () => {
    const { status, headers } = await byHost(PORTS.private, '/', { headers: { accept: 'text/html' } })
    expect([status, headers['content-type']]).toEqual([403, 'text/html; charset=utf-8'])
  })
})

describe('a link opens a port by each of its names', () => {
  test.each([
    'e2b-traffic-access-token',
    'moru-traffic-access-token',
    'x-access-token',
    'caisson-port-token',
  ])('with the token as %s, which the program does not see', async (name) => {
    const { token } = await world.sandbox.ports.link(PORTS.private)
    const { status, text } = await byHost(PORTS.private, '/', { headers: { [name]: token } })
    expect([status, text.includes(token)]).toEqual([200, false])
    expect((await byHost(PORTS.private, '/', { headers: { [name]: `${token}x` } })).status).toBe(403)
  })

  test('an X-Access-Token of the program itself stays', async () => {
    const { json } = await byHost(PORTS.public, '/', { headers: { 'x-access-token': 'my own' } })
    expect(Object.fromEntries(json.headers)['x-access-token']).toBe('my own')
  })
})
