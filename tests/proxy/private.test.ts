import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asked, PORTS, PortWorld } from './world.ts'

let world: PortWorld
let token: string
let link: string
beforeAll(async () => {
  world = await PortWorld.make()
  const made = await world.sandbox.ports.link(PORTS.private)
  token = made.token
  link = made.url as string
})
afterAll(() => world?.[Symbol.asyncDispose]())

const PAGE = { accept: 'text/html' }
const ask = (path: string, options: Asked = {}) => world.ask(path, { to: PORTS.private, ...options })

describe('who has the token comes in', () => {
  test('by header, which the program does not see', async () => {
    const { status, text } = await ask('/', { headers: { 'caisson-port-token': token } })
    expect([status, text.includes(token)]).toEqual([200, false])
  })

  test('by query, of which nothing but the token is taken away', async () => {
    for (const [asked, seen] of [
      [`/a?caisson_token=${token}`, '/a'],
      [`/a?x=%2f+1&caisson_token=${token}&&y`, '/a?x=%2f+1&&y'],
      [`/a?%63aisson_token=${token}&z`, '/a?z'],
    ])
      expect((await ask(asked as string)).json.target).toBe(seen)
  })

  test('by cookie, of which the others stay', async () => {
    const headers = { cookie: `a=1; caisson_port_token=${token}; b="2"` }
    const { json } = await ask('/', { headers })
    expect(Object.fromEntries(json.headers).cookie).toBe('a=1; b="2"')
  })

  test('a link sets the cookie and leads to the same address without the token', async () => {
    const url = new URL(link)
    expect(url.host).toBe(`${world.host(PORTS.private)}:${world.port}`)
    const first = await ask(`${url.pathname}x${url.search}&y=1`, { headers: PAGE })
    expect([first.status, first.headers.location]).toEqual([302, '/x?y=1'])
    const [cookie = ''] = first.headers['set-cookie'] ?? []
    expect(cookie).toMatch(/^caisson_port_token=[^;]+; Path=\/; Max-Age=8\d{4}; HttpOnly; SameSite=Lax$/)
    const again = await ask('/x?y=1', { headers: { ...PAGE, cookie: cookie.split(';')[0] } })
    expect(again.status).toBe(200)
  })
})

describe('everybody else stays outside', () => {
  const wrong = () => {
    const [text = '', mac = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(text, 'base64url').toString())
    const forge = (change: object) =>
      `${Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url')}.${mac}`
    return [
      '',
      'x',
      `${token}x`,
      token.slice(0, -1),
      `${text}.`,
      forge({ port: 3000 }),
      forge({ expiresAt: 9e15 }),
    ]
  }

  test('without a token, or with none that is one', async () => {
    const answers = await Promise.all([
      ask('/'),
      ask('/', { headers: PAGE }),
      ...wrong().map((value) => ask('/', { headers: { 'caisson-port-token': value } })),
      ...wrong().map((value) => ask(`/?caisson_token=${value}`)),
      ...wrong().map((value) => ask('/', { headers: { cookie: `caisson_port_token=${value}` } })),
    ])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
  })

  test('with the token of another port or sandbox, of a file, or with an API key', async () => {
    const { sandbox, server } = world
    const client = server.client()
    await sandbox.ports.expose(5000)
    const other = await sandbox.ports.link(5000)
    const file = await client.call('signFile', { id: sandbox.id, path: 'program.py', operation: 'read' })
    const { key } = await client.call('createKey', { name: 'all', scopes: ['admin'] })
    for (const value of [other.token, file.path.split('/').at(-1) as string, key])
      expect((await ask('/', { headers: { 'caisson-port-token': value } })).status).toBe(401)
    expect((await ask('/', { headers: { authorization: `Bearer ${key}` } })).status).toBe(401)
  })

  test('when the token has expired, and nothing tells it from a wrong one', async () => {
    const { token: short } = await world.sandbox.ports.link(PORTS.private, { ttl: 1 })
    const expired = await ask('/', { headers: { 'caisson-port-token': short } })
    const forged = await ask('/', { headers: { 'caisson-port-token': 'x' } })
    expect([expired.status, expired.json]).toEqual([401, forged.json])
  })

  test('when a page of another origin makes the browser send the cookie', async () => {
    const cookie = `caisson_port_token=${token}`
    const origins: [string, number][] = [
      ['http://3000-sbx-aaaaaaaaaaaaaaaaaaaa.localhost', 401],
      ['http://evil.example', 401],
      ['null', 401],
      [`http://${world.host(PORTS.private)}:${world.port}`, 200],
      [`http://${world.host(PORTS.public)}:${world.port}`, 200],
    ]
    for (const [origin, status] of origins)
      expect([origin, (await ask('/', { method: 'POST', headers: { cookie, origin } })).status]).toEqual([
        origin,
        status,
      ])
  })
})

test.each(['//evil.example/', '//evil.example', '/\\evil.example', '///evil.example/a'])(
  'a link leads to no other host: %s',
  async (path) => {
    const { headers } = await ask(`${path}?caisson_token=${token}`, { headers: PAGE })
    const here = `http://${world.host(PORTS.private)}/`
    expect(new URL(headers.location as string, here).host).toBe(new URL(here).host)
  },
)

describe('what was opened can be closed', () => {
  test('a public port that becomes private cuts who came without a token', async () => {
    const stream = await world.open('/events', { to: PORTS.public })
    const broken = new Promise((resolve) => stream.once('error', resolve))
    stream.resume()
    await world.sandbox.ports.expose(PORTS.public, { access: 'private' })
    await broken
    expect((await world.ask('/')).status).toBe(401)
    await world.sandbox.ports.expose(PORTS.public, { access: 'public' })
    expect((await world.ask('/')).status).toBe(200)
  })

  test('unexposing cuts open connections, answered or not', async () => {
    const stream = await world.open('/events', { to: PORTS.public })
    const broken = new Promise((resolve) => stream.once('error', resolve))
    stream.resume()
    const waiting = world.ask('/hang')
    await world.sandbox.ports.unexpose(PORTS.public)
    await broken
    expect((await waiting).status).toBe(502)
    await world.sandbox.ports.expose(PORTS.public, { access: 'public' })
  })

  test('exposing a port anew voids its links', async () => {
    const { sandbox } = world
    await sandbox.ports.unexpose(PORTS.private)
    expect((await ask('/', { headers: { 'caisson-port-token': token } })).json.error.code).toBe(
      'port_not_exposed',
    )
    await sandbox.ports.expose(PORTS.private)
    expect((await ask('/', { headers: { 'caisson-port-token': token } })).status).toBe(401)
    const { token: next } = await sandbox.ports.link(PORTS.private)
    expect((await ask('/', { headers: { 'caisson-port-token': next } })).status).toBe(200)
  })
})
