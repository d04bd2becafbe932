import { Sandbox as Interpreter } from '@e2b/code-interpreter'
import { Sandbox as Moru } from '@moru-ai/core'
import {
  AuthenticationError,
  InvalidArgumentError,
  RateLimitError,
  Sandbox,
  SandboxError,
  SandboxNotFoundError,
  Secret,
  SecretError,
  Template,
  TemplateError,
} from 'e2b'
import { describe, expect } from 'vitest'
import { cannotNetwork, type E2b, openE2b, test } from './fixture.ts'

const GONE = `i${'a'.repeat(20)}`

async function send(e2b: E2b, endpoint: string, body?: unknown) {
  const [method = '', path = ''] = endpoint.split(' ')
  const answer = await fetch(`${e2b.url}${path}`, {
    method,
    headers: { 'x-api-key': e2b.apiKey, 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, json: text === '' ? null : JSON.parse(text) }
}

describe.skipIf(cannotNetwork)('what is refused', { timeout: 60_000 }, () => {
  test.for<[string, object, string]>([
    ['an unknown template', { templateID: 'absent' }, 'absent'],
    ['a template of a namespace', { templateID: 'team/base' }, 'namespaces'],
    ['an unknown tag', { templateID: 'base:v9' }, 'base:v9'],
    ['a time that is over', { timeout: 0 }, 'timeout'],
    ['a time that is no number', { timeout: 'long' }, 'timeout'],
    ['metadata that are no texts', { metadata: { a: 1 } }, 'metadata.a'],
    ['a variable without a name', { envVars: { '': 'x' } }, 'env'],
    ['a gateway for tools', { mcp: { browserbase: {} } }, 'mcp'],
    ['identity tokens', { iam: { tokens: { a: { audience: 'b', tokenType: 'c' } } } }, 'iam'],
    ['a proxy', { network: { egressProxy: { address: 'a:1' } } }, 'network.egressProxy'],
    ['rules for requests', { network: { rules: { 'a.com': [] } } }, 'network.rules'],
    ['ports that speak TLS', { network: { httpsPorts: [8443] } }, 'network.httpsPorts'],
    ['names without denying all', { network: { allowOut: ['a.com'] } }, 'network.allowOut'],
    ['a denied name', { network: { denyOut: ['a.com'] } }, 'network.denyOut'],
    ['a Host that can be none', { network: { maskRequestHost: 'a b\r\nc' } }, 'portHost'],
    ['a pause without a pause', { autoPauseMemory: false }, 'autoPauseMemory'],
    [
      'a request that wakes what has no memory',
      { autoPause: true, autoPauseMemory: false, autoResume: { enabled: true } },
      'autoPauseMemory',
    ],
    ['an unknown volume', { volumeMounts: [{ name: 'absent', path: '/mnt/a' }] }, 'absent'],
    ['a volume without a place', { volumeId: 'absent' }, 'volumeMountPath'],
  ])('%s', async ([, body, told], { e2b }) => {
    for (const path of ['/sandboxes', '/v2/sandboxes']) {
      const { status, json } = await send(e2b, `POST ${path}`, body)
      expect([400, 404]).toContain(status)
      expect(json).toEqual({ code: status, message: expect.stringContaining(told) })
    }
    expect(await Sandbox.list(e2b.options).nextItems()).toEqual([])
  })

  test.for([
    `GET /sandboxes/${GONE}`,
    `DELETE /sandboxes/${GONE}`,
    `POST /sandboxes/${GONE}/pause`,
    `POST /sandboxes/${GONE}/resume`,
    `POST /v2/sandboxes/${GONE}/connect`,
    `POST /sandboxes/${GONE}/refreshes`,
    `POST /sandboxes/${GONE}/snapshots`,
    `POST /sandboxes/${GONE}/fork`,
    `PUT /sandboxes/${GONE}/network`,
    `GET /sandboxes/${GONE}/metrics`,
    `GET /sandboxes/${GONE}/logs`,
    `GET /v2/sandboxes/${GONE}/logs`,
    'GET /sandboxes/nonsense',
    'DELETE /sandboxes/..%2Fbase',
    'DELETE /templates/absent',
    'GET /templates/absent/tags',
    'GET /templates/aliases/absent',
    'GET /templates/absent',
    `GET /templates/absent/files/${'a'.repeat(64)}`,
    'GET /sandboxes/a/nothing',
  ])('%s is not found', async (endpoint, { e2b }) => {
    const { status, json } = await send(e2b, endpoint, endpoint.startsWith('GET') ? undefined : {})
    expect({ status, code: json.code }).toEqual({ status: 404, code: 404 })
    expect(json.message.length).toBeGreaterThan(10)
  })

  test.for([
    'GET /secrets',
    'GET /secrets/a',
    'POST /secrets',
    'POST /secrets/a',
    'DELETE /secrets/a',
    'GET /teams',
    'GET /teams/a/metrics',
    'GET /teams/a/metrics/max',
    'POST /templates',
    'POST /templates/a',
    'POST /templates/a/builds/b',
    'GET /v2/sandbox-runs',
  ])('%s is not there, and says why', async (endpoint, { e2b }) => {
    const { status, json } = await send(e2b, endpoint, endpoint.startsWith('POST') ? {} : undefined)
    expect({ status, code: json.code }).toEqual({ status: 501, code: 501 })
    expect(json.message.length).toBeGreaterThan(40)
  })

  test.for<[string, unknown]>([
    ['POST /v2/sandboxes', '{'],
    ['POST /v2/sandboxes', '[]'],
    ['POST /v2/sandboxes', '"base"'],
    ['POST /v3/templates', {}],
    ['POST /v3/templates', { name: 'team/name' }],
    ['POST /v3/templates', { name: '-' }],
    ['POST /v3/templates', { name: 'a', cpuCount: 0 }],
    ['POST /v3/templates', { name: 'a', minFreeDiskMb: 100 }],
    ['POST /v3/templates', { name: 'a', tags: ['no tag'] }],
    ['POST /templates/tags', { target: 'a' }],
    ['DELETE /templates/tags', { name: 'a:b', tags: ['c'] }],
    ['GET /sandboxes/metrics', undefined],
  ])('%s with %j is a bad request', async ([endpoint, body], { e2b }) => {
    const { status, json } = await send(e2b, endpoint, body)
    expect({ status, code: json.code }).toEqual({ status: 400, code: 400 })
  })

  test('names of this server are not given to templates, nor deleted', async ({ e2b }) => {
    expect((await send(e2b, 'POST /v3/templates', { name: 'base' })).status).toBe(403)
    expect((await send(e2b, 'DELETE /templates/base')).status).toBe(403)
    expect((await send(e2b, 'DELETE /templates/code-interpreter-v1')).status).toBe(403)
  })

  test('a build from nowhere, or with what is not there, is refused, and can be started again', async ({
    e2b,
  }) => {
    const { json } = await send(e2b, 'POST /v3/templates', { name: 'refused' })
    const start = `POST /v2/templates/${json.templateID}/builds/${json.buildID}`
    const from = { fromTemplate: 'base' }
    const bad: [object, number][] = [
      [{}, 400],
      [{ ...from, fromImage: 'python:3.13' }, 400],
      [{ fromTemplate: 'absent' }, 404],
      [
        { fromImage: 'e2bdev/base', fromImageRegistry: { type: 'registry', username: 'a', password: 'b' } },
        400,
      ],
      [{ ...from, steps: [{ type: 'VOLUME', args: ['/a'] }] }, 400],
      [{ ...from, steps: [{ type: 'COPY', args: ['a', '/b', '', ''], filesHash: '../../etc/passwd' }] }, 400],
      [{ ...from, steps: [{ type: 'COPY', args: ['a', '/b', '', ''], filesHash: 'b'.repeat(64) }] }, 404],
    ]
    for (const [body, status] of bad)
      expect.soft((await send(e2b, start, body)).status, JSON.stringify(body)).toBe(status)
    expect((await send(e2b, `POST /v2/templates/absent/builds/${json.buildID}`, from)).status).toBe(404)
    expect((await send(e2b, start, from)).status).toBe(202)
    expect((await send(e2b, start, from)).status).toBe(409)
  })

  test('a link for files can be used once, for files of its own hash', async ({ e2b }) => {
    const { json } = await send(e2b, 'POST /v3/templates', { name: 'links' })
    const hash = 'c'.repeat(64)
    const ask = async () => (await send(e2b, `GET /templates/${json.templateID}/files/${hash}`)).json
    const { present, url } = await ask()
    expect(present).toBe(false)
    const put = (to: string) => fetch(to, { method: 'PUT', body: Buffer.alloc(1024) })
    expect((await put(url)).status).toBe(200)
    expect((await put(url)).status).toBe(403)
    expect((await put(`${url.slice(0, -2)}xx`)).status).toBe(403)
    expect(await ask()).toMatchObject({ present: true, url: expect.any(String) })
    expect((await send(e2b, `GET /templates/${json.templateID}/files/..%2F..%2Fetc`)).status).toBe(400)
  })
})

describe.skipIf(cannotNetwork)('what callers see', { timeout: 60_000 }, () => {
  test('clients throw the errors that their callers expect', async ({ e2b }) => {
    const { options } = e2b
    await expect(Sandbox.create({ ...options, apiKey: `e2b_${'0'.repeat(64)}` })).rejects.toThrow(
      AuthenticationError,
    )
    await expect(Sandbox.getInfo(GONE, options)).rejects.toThrow(SandboxNotFoundError)
    await expect(Sandbox.connect(GONE, options)).rejects.toThrow(SandboxNotFoundError)
    await expect(Sandbox.setTimeout(GONE, 1000, options)).rejects.toThrow(SandboxNotFoundError)
    await expect(Sandbox.getMetrics(GONE, options)).rejects.toThrow(SandboxNotFoundError)
    expect(await Sandbox.kill(GONE, options)).toBe(false)
    expect(await Sandbox.deleteSnapshot(GONE, options)).toBe(false)
    const odd = { onTimeout: { action: 'kill', keepMemory: true } } as never
    await expect(Sandbox.create({ ...options, lifecycle: odd })).rejects.toThrow(InvalidArgumentError)
    await expect(Sandbox.create({ ...options, mcp: { browserbase: {} } as never })).rejects.toThrow('mcp')
    await expect(Sandbox.create('base', { ...options, mcp: { browserbase: {} } as never })).rejects.toThrow(
      'mcp',
    )
    await expect(Secret.create('name', 'value', options)).rejects.toThrow(SecretError)
    await expect(Template.getTags('absent', options)).rejects.toThrow(TemplateError)
    await expect(Moru.getInfo(GONE, options)).rejects.toThrow('not found')
    expect(await Moru.kill(GONE, options)).toBe(false)
    await expect(Interpreter.connect(GONE, options)).rejects.toThrow('not found')
  })

  test('a server that is full says so', async () => {
    await using e2b = await openE2b({ config: { maxSandboxes: 1 } })
    const sandbox = await Sandbox.create(e2b.options)
    await expect(Sandbox.create({ ...e2b.options, retries: 0 })).rejects.toThrow(RateLimitError)
    const [fork] = await sandbox.fork()
    expect(fork).toBeInstanceOf(SandboxError)
    await sandbox.kill()
  })
})
