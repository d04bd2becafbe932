import { type Operation, operations } from '@caisson/protocol/operations'
import type { Scope } from '@caisson/protocol/resources'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { examples } from '../../packages/server/src/api/v1/examples.ts'
import { KEYS, TOKEN } from './fake.ts'
import { startServer, type TestServer } from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
  server.fake.files.set('notes.txt', Buffer.from('x'))
})
afterAll(() => server[Symbol.asyncDispose]())

const RANK: Record<Scope, number> = { read: 0, exec: 1, admin: 2 }
const credentials: Record<string, string | undefined> = {
  'no key': undefined,
  'an unknown key': 'csk_unknown0000000000000000000000',
  'something that is no key': 'hunter2',
  'the read key': KEYS.read,
  'the exec key': KEYS.exec,
  'the admin key': KEYS.admin,
}

interface Example {
  params?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
  upload?: string
}

function requestOf(name: keyof typeof operations): { method: string; path: string; body?: string } {
  const example = examples[name] as Example
  const known: Record<string, string> = {
    id: 'sbx_1',
    execution: 'exe_1',
    job: 'job_1',
    key: 'key_1',
    upload: 'up',
    snapshot: 'snp_1',
    checkpoint: 'ckpt_1',
    session: 'ses_1',
    runtime: 'base:latest',
    port: '3000',
    token: TOKEN,
    volume: 'vol_1',
    template: 'tpl_1',
    build: 'bld_1',
    hash: '0'.repeat(64),
  }
  const [method, path] = operations[name].http.split(' ') as [string, string]
  const query = new URLSearchParams(example.query).toString()
  const target = path.replaceAll(/\{(\w+)\}/g, (_, param) => known[param]!) + (query && `?${query}`)
  const body = example.upload ?? (example.body === undefined ? undefined : JSON.stringify(example.body))
  return { method, path: target, ...(body !== undefined && { body }) }
}

function expected(
  secret: string | undefined,
  needs: Operation['scope'],
): 'unauthenticated' | 'forbidden' | 'allowed' {
  if (needs === 'signature' || needs === 'public') return 'allowed'
  const has = (Object.keys(KEYS) as Scope[]).find((scope) => KEYS[scope] === secret)
  if (has === undefined) return 'unauthenticated'
  return RANK[has] >= RANK[needs] ? 'allowed' : 'forbidden'
}

const rows = Object.entries(operations) as [keyof typeof operations, Operation][]

describe.each(rows)('%s', (name, operation) => {
  test.each(Object.keys(credentials))('with %s', async (who) => {
    const { method, path, body } = requestOf(name)
    const secret = credentials[who]
    const headers = { authorization: secret === undefined ? '' : `Bearer ${secret}` }
    const reply = await server.fetch(method, path, { headers, ...(body !== undefined && { body }) })
    const outcome = expected(secret, operation.scope)
    if (outcome === 'allowed') {
      const success = operation.streams === 'websocket' ? 400 : (operation.status ?? 200)
      expect(reply.status === 204 ? 204 : reply.status).toBe(
        operation.output ? success : successOf(operation),
      )
    } else {
      expect(reply.json.error.code).toBe(outcome)
      expect(reply.status).toBe(outcome === 'forbidden' ? 403 : 401)
    }
  })
})

function successOf(operation: Operation): number {
  if (operation.streams === 'websocket') return 400
  return operation.streams ? 200 : 204
}

describe.each(rows.filter(([, { scope }]) => scope === 'signature'))('%s', (name) => {
  test.each([
    'x',
    'Z29vZA',
    'good.',
    '%20good',
    '%00',
    'a'.repeat(1000),
    '..%2f..%2fsandboxes',
    '%f0%9f%98%80',
  ])('with the token %.20s is refused without a word on why', async (token) => {
    const { method, path, body } = requestOf(name)
    for (const authorization of ['', `Bearer ${KEYS.admin}`]) {
      const reply = await server.fetch(method, path.replace(TOKEN, token), {
        headers: { authorization },
        ...(body !== undefined && { body }),
      })
      expect([reply.status, reply.json.error.code]).toEqual([403, 'signature_invalid'])
    }
  })
})

describe('service routes', () => {
  test.each(['/readyz', '/metrics'])('%s needs the scope read', async (path) => {
    expect((await server.fetch('GET', path, { headers: { authorization: '' } })).status).toBe(401)
    const headers = { authorization: `Bearer ${KEYS.read}` }
    expect((await server.fetch('GET', path, { headers })).status).toBe(200)
  })

  test.each(['/healthz', '/v1/openapi.json'])('%s needs no key', async (path) => {
    expect((await server.fetch('GET', path, { headers: { authorization: '' } })).status).toBe(200)
  })
})

test('the unix socket needs no key', async () => {
  const reply = await server.fetch('GET', '/v1/keys', {
    socketPath: server.socketPath,
    headers: { authorization: '' },
  })
  expect(reply.status).toBe(200)
})

describe('the WebSocket', () => {
  const outcome = (headers: Record<string, string>, protocols: string[] = []): Promise<number> =>
    new Promise((resolve) => {
      const url = `ws://127.0.0.1:${server.port}/v1/executions/exe_1/connect`
      const ws = new WebSocket(url, ['caisson.v1', ...protocols], { headers })
      ws.on('unexpected-response', (request, response) => {
        resolve(response.statusCode!)
        request.destroy()
      })
      ws.on('open', () => {
        expect(ws.protocol).toBe('caisson.v1')
        resolve(101)
        ws.terminate()
      })
      ws.on('error', () => {})
    })

  test.each([
    ['no key', undefined, 401],
    ['an unknown key', 'csk_unknown0000000000000000000000', 401],
    ['the read key', KEYS.read, 403],
    ['the exec key', KEYS.exec, 101],
    ['the admin key', KEYS.admin, 101],
  ])('with %s', async (_, secret, status) => {
    expect(await outcome(secret === undefined ? {} : { authorization: `Bearer ${secret}` })).toBe(status)
    expect(await outcome({}, secret === undefined ? [] : [`caisson.key.${secret}`])).toBe(status)
  })

  test('a page of another origin is refused even with a key', async () => {
    const headers = { authorization: `Bearer ${KEYS.exec}`, origin: 'https://evil.example' }
    expect(await outcome(headers)).toBe(400)
  })
})

test('no key, and nothing of a body, reaches the log', async () => {
  await server.fetch('POST', '/v1/sandboxes', { body: '{"name":"bug","env":{"TOKEN":"canary-7f3"}}' })
  const log = server.logs.join('')
  expect(log).toContain('secret detail')
  for (const secret of [...Object.values(KEYS), 'canary-7f3']) expect(log).not.toContain(secret)
})
