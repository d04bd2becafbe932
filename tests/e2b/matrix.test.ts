import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http'
import { SandboxError } from '@caisson/protocol/errors'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Api, createApi } from '../../packages/server/src/api/app.ts'
import type { Dialect, Route } from '../../packages/server/src/api/e2b/route.ts'
import { routesOf } from '../../packages/server/src/api/e2b/routes.ts'
import { isDaemon } from '../../packages/server/src/api/e2b/target.ts'
import { createMetrics } from '../../packages/server/src/metrics.ts'
import type { Live } from '../../packages/server/src/sandboxes/live.ts'
import { tokenUseCases } from '../../packages/server/src/sandboxes/tokens.ts'
import type { UseCases } from '../../packages/server/src/sandboxes/use-cases.ts'
import { sandboxNamed } from '../api/fake.ts'

/** Every route of the dialect against every credential that must not open it: none may reach a use case. */

const MINE = 'sbx_aaaaaaaaaaaaaaaaaaaa'
const OTHER = 'sbx_bbbbbbbbbbbbbbbbbbbb'
const ENDED = 'sbx_cccccccccccccccccccc'
const MISSING = 'sbx_dddddddddddddddddddd'
const VOLUME = 'vol_aaaaaaaaaaaaaaaaaaaa'
const shown = (id: string) => id.replace('sbx_', 'i')

const KEYS: Record<string, ('read' | 'exec')[]> = {
  csk_reads00000000000000000000000000000: ['read'],
  [`e2b_${'0'.repeat(64)}`]: ['exec'],
}
const [READ_KEY, EXEC_KEY] = Object.keys(KEYS) as [string, string]

/** What only tells who somebody is, or whether a sandbox runs. */
const HARMLESS = [
  'authenticate',
  'sandboxTokens',
  'admittedBy',
  'whoseToken',
  'volumeToken',
  'admittedToVolume',
  'buildFilesOf',
  'getSandbox',
]

const live = new Map([MINE, OTHER].map((id) => [id, { record: { id, internal: null } } as unknown as Live]))
const tokens = tokenUseCases({ signingKey: randomBytes(32), live, paused: new Map() })
const called: string[] = []

/** Use cases that do nothing, and remember what was asked. */
const useCases = new Proxy(
  {
    ...tokens,
    authenticate: async (secret: string) =>
      KEYS[secret] === undefined ? null : { keyId: 'key_1', scopes: KEYS[secret] },
    getSandbox: async (id: string) => {
      if (id === MINE || id === OTHER) return sandboxNamed(id)
      throw new SandboxError(id === ENDED ? 'sandbox_ended' : 'sandbox_not_found', {
        sandbox: id,
        reason: '',
      })
    },
  } as unknown as UseCases,
  {
    get: (known, name: string) =>
      (known as unknown as Record<string, unknown>)[name] ??
      (async () => {
        called.push(name)
        throw new Error(`the use case ${name} was reached`)
      }),
  },
)

let api: Api
let port: number
beforeAll(async () => {
  api = await createApi({
    useCases,
    log: pino({ level: 'silent' }),
    metrics: createMetrics(() => ({ sandboxes: {}, executionsRunning: 0 })),
    version: '0.1.0',
    doctor: async () => ({ ok: true, driver: 'memory', storage: 'memory', isolation: 'none', checks: [] }),
    stop: () => {},
    ready: () => ({ ready: true }),
    e2b: { domain: 'box.test', url: () => `http://127.0.0.1:${port}`, volumeIdIsCapability: false },
    allowedHosts: ['api.box.test', 'sandbox.box.test'],
  })
  port = (await api.listeners.listenTcp('127.0.0.1:0')).port
})
afterAll(() => api.close())

interface Reply {
  status: number
  body: string
  headers: NodeJS.Dict<string | string[]>
}

function ask(route: Route, headers: OutgoingHttpHeaders, query = ''): Promise<Reply> {
  const params: Record<string, string> = { sandboxID: shown(MINE), volumeID: VOLUME }
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name) => params[name] ?? 'anything')
  const isStream = /\/(Start|Connect|StreamInput|WatchDir)$/.test(route.path)
  const type = isStream ? 'application/connect+json' : 'application/json'
  const message = Buffer.from('{}')
  const body = isStream ? Buffer.from([0, 0, 0, 0, message.length, ...message]) : message
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port,
        method: route.method,
        path: path + query,
        agent: false,
        headers: {
          ...(route.method !== 'GET' && { 'content-type': type, 'content-length': body.length }),
          ...headers,
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece) => (text += piece))
        response.on('end', () =>
          resolve({ status: response.statusCode as number, body: text, headers: response.headers }),
        )
      },
    )
    request.on('error', reject)
    request.end(route.method === 'GET' ? undefined : body)
  })
}

const wasRefused = ({ status, body }: Reply): boolean =>
  [401, 403, 405].includes(status) || body.includes('There is no route')

const dialect: Dialect = {
  useCases,
  domain: () => 'box.test',
  url: (path) => path,
  volumeIdIsCapability: false,
}
const routes = routesOf(dialect)
const named = (id: string) => ({ 'e2b-sandbox-id': shown(id), 'e2b-sandbox-port': '49983' })
const access = (id: string) => tokens.sandboxTokens(id).access
const flipped = (token: string) => token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')

/** Credentials that open nothing anywhere. */
const NOTHING: Record<string, OutgoingHttpHeaders> = {
  none: {},
  'an unknown key': { 'x-api-key': `e2b_${'1'.repeat(64)}` },
  'an unknown key of ours': { authorization: 'Bearer csk_unknown0000000000000000000000' },
  'something that is no key': { 'x-api-key': 'hunter2' },
  'a user alone': { authorization: `Basic ${btoa('root:')}` },
  'a traffic token': { 'x-access-token': tokens.sandboxTokens(MINE).traffic },
  'a changed access token': { 'x-access-token': flipped(access(MINE)) },
  'a volume token as access token': { 'x-access-token': tokens.volumeToken(VOLUME) },
  'a token for another volume': { authorization: `Bearer ${tokens.volumeToken('vol_bbbbbbbbbbbbbbbbbbbb')}` },
  'an access token as key': { 'x-api-key': access(MINE) },
}

/** What opens a sandbox, or sandboxes as such, and nothing of the other kind. */
const foreign = (route: Route): Record<string, OutgoingHttpHeaders> => {
  if (route.auth === 'sandbox' || route.auth === 'signature')
    return {
      'a key': { 'x-api-key': EXEC_KEY },
      "another sandbox's token": { 'x-access-token': access(OTHER) },
    }
  const sandbox = { 'its sandbox token': { 'x-access-token': access(MINE) } }
  if (route.auth === 'volume') return { ...sandbox, 'a key': { 'x-api-key': EXEC_KEY } }
  const key = { 'a volume token': { authorization: `Bearer ${tokens.volumeToken(VOLUME)}` }, ...sandbox }
  return route.auth === 'exec' ? { ...key, 'a key that may only read': { 'x-api-key': READ_KEY } } : key
}

const OPENS: Record<string, OutgoingHttpHeaders> = {
  read: { 'x-api-key': READ_KEY },
  exec: { authorization: `Bearer ${EXEC_KEY}` },
  sandbox: { ...named(MINE), 'x-access-token': access(MINE) },
  signature: { 'x-access-token': access(MINE) },
  volume: { authorization: `Bearer ${tokens.volumeToken(VOLUME)}` },
}

const guarded = routes.filter(({ auth }) => auth !== 'anybody' && auth !== 'capability')

test('there is something to guard, and what is open is known', () => {
  expect(guarded.length).toBeGreaterThan(60)
  const open = routes.filter((route) => !guarded.includes(route))
  expect(open.map(({ name }) => name).toSorted()).toEqual(['daemon.health', 'templates.upload'])
})

describe.each(guarded.map((route) => [route.name, route] as const))('%s', (_, route) => {
  const headers = (credential: OutgoingHttpHeaders) => ({
    ...(isDaemon(route) && named(MINE)),
    ...credential,
  })

  test.each(Object.entries({ ...NOTHING, ...foreign(route) }))('refuses %s', async (who, credential) => {
    called.length = 0
    const reply = await ask(route, headers(credential))
    expect([reply.status, JSON.parse(reply.body).code]).toEqual(
      who === 'a key that may only read' ? [403, 403] : [401, 401],
    )
    expect(called.filter((name) => !HARMLESS.includes(name))).toEqual([])
  })

  test('refuses its own credentials under a name that is not of this server', async () => {
    called.length = 0
    const reply = await ask(route, { ...OPENS[route.auth], host: 'evil.example' })
    expect(reply.status).toBe(400)
    expect(called).toEqual([])
  })

  test('is opened by what it asks for', async () => {
    const reply = await ask(route, OPENS[route.auth] as OutgoingHttpHeaders)
    expect(wasRefused(reply)).toBe(false)
  })
})

describe.each(guarded.filter(isDaemon).map((route) => [route.name, route] as const))('%s', (_, route) => {
  test.each([
    ['one that has ended', ENDED],
    ['one that never was', MISSING],
  ])('tells strangers nothing of %s, and its owner that it is gone', async (_, id) => {
    const stranger = await ask(route, { ...named(id), 'x-access-token': access(MINE) })
    const known = await ask(route, { ...named(OTHER), 'x-access-token': access(MINE) })
    expect([stranger.status, stranger.body]).toEqual([known.status, known.body])
    const owner = await ask(route, { ...named(id), 'x-access-token': access(id) })
    expect(JSON.parse(owner.body)).toEqual({
      code: 502,
      message: 'The sandbox was not found',
      sandboxId: shown(id),
    })
    expect(owner.status).toBe(502)
  })

  test('is reached by host name, by either pair of headers, and by its token alone', async () => {
    const token = { 'x-access-token': access(MINE) }
    for (const way of [
      { host: `49983-${shown(MINE)}.box.test` },
      { host: 'sandbox.box.test', ...named(MINE) },
      { 'moru-sandbox-id': shown(MINE), 'moru-sandbox-port': '49983' },
      {},
    ])
      expect(wasRefused(await ask(route, { ...way, ...token }))).toBe(false)
  })
})

test('what a key that may only read is told holds no token', async () => {
  const readable = routes.filter(({ auth }) => auth === 'read')
  const replies = await Promise.all(readable.map((route) => ask(route, { 'x-api-key': READ_KEY })))
  expect(replies.filter(({ body }) => /cs[atv]_/.test(body))).toEqual([])
  expect(replies[readable.findIndex(({ name }) => name === 'sandboxes.get')]).toMatchObject({ status: 200 })
})

describe('signatures', () => {
  const [read, write] = ['files.read', 'files.write'].map((name) =>
    routes.find((route) => route.name === name),
  ) as [Route, Route]
  const sign = (token: string, operation: string, path: string, user = '', expiration?: number) => {
    const text = [path, operation, user, token, ...(expiration === undefined ? [] : [expiration])].join(':')
    return `v1_${createHash('sha256').update(text).digest('base64').replace(/=+$/, '')}`
  }
  const query = (values: Record<string, string | number>) =>
    `?${new URLSearchParams(Object.entries(values).map(([name, value]) => [name, String(value)]))}`
  const later = Math.floor(Date.now() / 1000) + 60
  const token = access(MINE)
  const opened = async (route: Route, values: Record<string, string | number>, headers = {}) => {
    called.length = 0
    const reply = await ask(route, headers, query(values))
    return { ...reply, opened: reply.status !== 401 }
  }

  test('open the file that they name, in their way, for their user, in their time', async () => {
    for (const headers of [{}, named(MINE), { host: `49983-${shown(MINE)}.box.test` }]) {
      const path = '/home/user/ä b'
      const good = [
        [read, { path, signature: sign(token, 'read', path) }],
        [write, { path, signature: sign(token, 'write', path) }],
        [write, { signature: sign(token, 'write', '') }],
        [read, { path, username: 'root', signature: sign(token, 'read', path, 'root') }],
        [read, { path, signature: sign(token, 'read', path, '', later), signature_expiration: later }],
      ] as const
      for (const [route, values] of good)
        expect(await opened(route, values, headers)).toMatchObject({ opened: true })
    }
  })

  test('open nothing else', async () => {
    const path = '/a'
    const signature = sign(token, 'read', path)
    const bad: [Route, Record<string, string | number>, object?][] = [
      [write, { path, signature }],
      [read, { path: '/b', signature }],
      [read, { path, username: 'root', signature }],
      [read, { path, signature, signature_expiration: later }],
      [read, { path, signature: sign(token, 'read', path, '', later) }],
      [read, { path, signature: signature.slice(0, -1) }],
      [read, { path, signature: '' }],
      [read, { path, signature: `${signature}=` }],
      [read, { path, signature }, named(OTHER)],
      [read, { path, signature: sign(access(MISSING), 'read', path) }],
      [read, { path, signature: sign(tokens.sandboxTokens(MINE).traffic, 'read', path) }],
      [read, { path, signature }, { 'x-access-token': flipped(token) }],
      [read, { path, signature: sign('', 'read', path) }],
    ]
    for (const [route, values, headers] of bad) {
      expect(await opened(route, values, headers)).toMatchObject({ status: 401 })
      expect(called).toEqual([])
    }
  })

  test('say when they are too old, and are no two things at once', async () => {
    const path = '/a'
    const past = Math.floor(Date.now() / 1000) - 5
    const old = { path, signature: sign(token, 'read', path, '', past), signature_expiration: past }
    expect(JSON.parse((await opened(read, old)).body)).toEqual({
      code: 401,
      message: 'signature is already expired',
    })
    const wrong = { ...old, signature: sign(access(OTHER), 'read', path) }
    expect(JSON.parse((await opened(read, wrong, named(MINE))).body)).toEqual({
      code: 401,
      message: 'invalid signature',
    })
    const twice = `${query({ path, signature: sign(token, 'read', path) })}&path=/b`
    expect((await ask(read, {}, twice)).status).toBe(400)
  })
})

test('a page of any site may ask, without cookies', async () => {
  const [route] = guarded as [Route]
  const preflight = await ask(
    { ...route, method: 'OPTIONS' as Route['method'] },
    {
      origin: 'https://site.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-api-key, content-type',
    },
  )
  expect(preflight.status).toBe(204)
  expect(preflight.headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-headers': 'x-api-key, content-type',
  })
  expect(preflight.headers['access-control-allow-credentials']).toBeUndefined()
  const refused = await ask(route, { origin: 'https://site.example' })
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, '*'])
})
