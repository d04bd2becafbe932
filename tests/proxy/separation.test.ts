import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { PORTS, PortWorld } from './world.ts'

let world: PortWorld
let key: string
beforeAll(async () => {
  world = await PortWorld.make()
  key = (await world.server.client().call('createKey', { name: 'all', scopes: ['admin'] })).key
})
afterAll(() => world?.[Symbol.asyncDispose]())

describe('the host of a port never reaches the API', () => {
  const paths = [
    '/v1/sandboxes',
    '//v1/sandboxes',
    '/../v1/sandboxes',
    '/healthz',
    '/readyz',
    '/metrics',
    '/v1/openapi.json',
  ]
  test.each(paths)('%s is the program’s', async (path) => {
    const { status, json } = await world.ask(path, { headers: { authorization: `Bearer ${key}` } })
    expect([status, json.target]).toEqual([200, path])
  })

  test('nor does its path form lead to another port', async () => {
    const path = `/p/${world.sandbox.id}/${PORTS.private}/`
    expect((await world.ask(path)).json.target).toBe(path)
  })

  test('headers that name another port do not count', async () => {
    const headers = { 'caisson-sandbox-id': world.sandbox.id, 'caisson-sandbox-port': `${PORTS.closed}` }
    const { status, text } = await world.ask('/', { headers })
    expect([status, /caisson-sandbox/i.test(text)]).toEqual([200, false])
  })

  test('a WebSocket of the API is not there', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${world.port}/v1/executions/x/connect`, {
      headers: { host: world.host(PORTS.closed), authorization: `Bearer ${key}` },
    })
    socket.on('error', () => {})
    const status = await new Promise((resolve) =>
      socket.once('unexpected-response', (_, response) => resolve(response.statusCode)),
    )
    expect(status).toBe(502)
  })
})

describe('the API’s host reaches no port', () => {
  const id = () => world.sandbox.id
  test.each([
    ['//p/ID/3000/', 404],
    ['/P/ID/3000/', 404],
    ['/p/ID', 404],
    ['/p/ID/', 404],
    ['/p/ID/x/', 404],
    ['/p/../ID/3000/', 404],
    ['/%70/ID/3000/', 404],
  ])('%s', async (path, status) => {
    const headers = { host: `localhost:${world.port}`, authorization: `Bearer ${key}` }
    const answer = await world.ask(path.replace('ID', id()), { to: null, headers })
    expect([answer.status, answer.json?.error.code]).toEqual([status, 'route_not_found'])
  })

  test.each([
    '3000-x.y.localhost',
    'x.localhost',
    '3000.localhost',
    '-x.localhost',
    '3000-.localhost',
    'evil.example',
  ])('a host that is neither: %s', async (host) => {
    expect((await world.ask('/', { to: null, headers: { host } })).status).toBe(400)
  })
})

test('the agent and other doors of the sandbox are not reached', async () => {
  // The agent listens at a socket that the launcher gave it, and the server's own ports are the host's.
  const { exitCode } = await world.sandbox.sh(`curl -s -m 2 http://127.0.0.1:${world.port}/healthz`)
  expect(exitCode).not.toBe(0)
  await world.sandbox.ports.expose(world.port, { access: 'public' })
  expect((await world.ask('/healthz', { to: world.port })).json.error.code).toBe('port_closed')
})

describe('by headers', () => {
  const ask = (headers: Record<string, string>, path = '/a?b') =>
    world.ask(path, { to: null, headers: { host: 'any.example', ...headers } })

  test('a request reaches the port, and its host stays', async () => {
    const { json } = await ask({ 'caisson-sandbox-id': world.sandbox.id, 'caisson-sandbox-port': '3000' })
    expect(json.target).toBe('/a?b')
    const headers = Object.fromEntries(json.headers)
    expect(headers.host).toBe('any.example')
    expect(Object.keys(headers).filter((name) => /caisson/i.test(name))).toEqual([])
  })

  test.each([
    [{ 'caisson-sandbox-id': 'sbx_x' }],
    [{ 'caisson-sandbox-port': '3000' }],
    [{ 'caisson-sandbox-id': '../x', 'caisson-sandbox-port': '3000' }],
    [{ 'caisson-sandbox-id': 'sbx_x', 'caisson-sandbox-port': '3000, 3001' }],
  ])('one without the other, or one that is none: %s', async (headers) => {
    const { status, json } = await ask(headers as Record<string, string>)
    expect([status, json.error.code]).toEqual([400, 'invalid_request'])
  })
})

describe('by path', () => {
  const ask = (rest: string, options = {}) =>
    world.ask(`/p/${world.sandbox.id}/${rest}`, { to: null, ...options })

  test('the prefix is taken away and told', async () => {
    const { json, headers } = await ask('3000/a/b?c')
    expect(json.target).toBe('/a/b?c')
    expect(Object.fromEntries(json.headers)['X-Forwarded-Prefix']).toBe(`/p/${world.sandbox.id}/3000`)
    expect(headers['content-security-policy']).toBe('sandbox allow-scripts allow-forms allow-popups')
  })

  test('an address without the last slash leads to the one with it', async () => {
    const { status, headers } = await ask('3000?x=1')
    expect([status, headers.location]).toEqual([308, `/p/${world.sandbox.id}/3000/?x=1`])
  })

  test('a program can do nothing to the API’s own address', async () => {
    const meddling = await ask('3000/meddling')
    const names = ['clear-site-data', 'strict-transport-security', 'service-worker-allowed', 'alt-svc']
    expect(Object.keys(meddling.headers).filter((name) => names.includes(name))).toEqual([])
    expect((await ask('3000/cookies')).headers['set-cookie']).toBeUndefined()
    const { json } = await ask('3000/', { headers: { cookie: 'a=1' } })
    expect(JSON.stringify(json.headers)).not.toContain('a=1')
  })

  test('a link to a private port works there too, and its cookie is for that port alone', async () => {
    const { token } = await world.sandbox.ports.link(PORTS.private)
    const first = await ask(`3001/x?caisson_token=${token}`, { headers: { accept: 'text/html' } })
    expect([first.status, first.headers.location]).toEqual([302, `/p/${world.sandbox.id}/3001/x`])
    expect(first.headers['set-cookie']?.[0]).toContain(`; Path=/p/${world.sandbox.id}/3001/;`)
    const cookie = `caisson_port_token=${token}`
    expect((await ask('3001/x', { headers: { cookie } })).status).toBe(200)
  })
})
