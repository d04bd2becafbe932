import { Agent } from 'node:http'
import { gzipSync } from 'node:zlib'
import { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { cannotNetwork, type E2b, test } from './fixture.ts'
import { ask, envelope, type Frame, openStream } from './rpc.ts'

/** What leads to a sandbox, as clients send it. */
const addressed = (sandbox: Sandbox, token = tokenOf(sandbox)) => ({
  'e2b-sandbox-id': sandbox.sandboxId,
  'e2b-sandbox-port': '49983',
  'x-access-token': token,
})

// The client keeps it to itself.
const tokenOf = (sandbox: Sandbox): string =>
  (sandbox as unknown as { envdAccessToken: string }).envdAccessToken

async function open(
  e2b: E2b,
  envs: Record<string, string> = {},
): Promise<AsyncDisposable & { sandbox: Sandbox }> {
  const sandbox = await Sandbox.create({ ...e2b.options, envs, timeoutMs: 120_000 })
  return { sandbox, [Symbol.asyncDispose]: async () => void (await sandbox.kill()) }
}

const shell = (command: string) => ({ process: { cmd: '/bin/bash', args: ['-c', command] }, stdin: true })
const json = (text: string) => JSON.parse(text)

describe.skipIf(cannotNetwork)('the way to a sandbox', () => {
  test('is its host name, headers or token, and each only with its own token', async ({ e2b }) => {
    await using one = await open(e2b)
    await using other = await open(e2b)
    const port = new URL(e2b.url).port
    const headers = addressed(one.sandbox)
    const token = { 'x-access-token': headers['x-access-token'] }
    const ways = [
      headers,
      token,
      { ...token, host: `49983-${one.sandbox.sandboxId}.localhost:${port}` },
      { ...token, 'moru-sandbox-id': one.sandbox.sandboxId, 'moru-sandbox-port': '49983' },
      { ...headers, host: `sandbox.localhost:${port}` },
    ]
    for (const way of ways) {
      const type = { 'content-type': 'application/json' }
      const list = { method: 'POST', body: '{}' }
      const path = `${e2b.url}/process.Process/List`
      expect(await ask(path, { ...list, headers: { ...type, ...way } })).toMatchObject({ status: 200 })
      const foreign = { ...type, ...way, 'x-access-token': tokenOf(other.sandbox) }
      const reply = await ask(path, { ...list, headers: foreign })
      // Alone, the token says itself which sandbox is meant.
      expect(reply.status).toBe(way === token ? 200 : 401)
    }
    await expect(
      ask(`${e2b.url}/envs`, { headers: { ...headers, 'x-access-token': e2b.apiKey } }),
    ).resolves.toMatchObject({ status: 401 })
  })

  test('is named whole, and once', async ({ e2b }) => {
    await using opened = await open(e2b)
    const { sandboxId } = opened.sandbox
    for (const headers of [
      { 'e2b-sandbox-id': sandboxId },
      { 'e2b-sandbox-port': '49983' },
      { 'moru-sandbox-id': sandboxId },
      { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': 'x' },
      { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': '49983', 'moru-sandbox-id': sandboxId },
    ]) {
      const reply = await ask(`${e2b.url}/health`, { headers })
      expect([reply.status, reply.headers['content-type']]).toEqual([400, 'text/plain; charset=utf-8'])
      expect(reply.text).not.toBe('')
    }
  })

  test('tells whether it runs', async ({ e2b }) => {
    const { sandbox } = await open(e2b)
    const headers = addressed(sandbox)
    const health = async (more = {}) => {
      const { status, text } = await ask(`${e2b.url}/health`, { headers: { ...headers, ...more } })
      return text === '' ? status : json(text)
    }
    const gone = { code: 502, message: 'The sandbox was not found', sandboxId: sandbox.sandboxId }
    expect(await health()).toBe(204)
    expect(await health({ 'x-access-token': 'anything' })).toBe(204)
    expect((await ask(`${e2b.url}/health`, { headers: { 'x-access-token': tokenOf(sandbox) } })).status).toBe(
      204,
    )
    await sandbox.pause()
    expect(await health()).toEqual(gone)
    expect(await sandbox.isRunning()).toBe(false)
    await expect(sandbox.commands.run('true')).rejects.toThrow(/not running|not found/)
    await sandbox.connect()
    expect(await health()).toBe(204)
    expect(tokenOf(sandbox)).toBe(headers['x-access-token'])
    await sandbox.kill()
    expect(await health()).toEqual(gone)
    expect(
      (await ask(`${e2b.url}/health`, { headers: { ...headers, 'e2b-sandbox-id': 'iaaaaaaaaaaaaaaaaaaaa' } }))
        .status,
    ).toBe(502)
    expect((await ask(`${e2b.url}/envs`, { headers })).status).toBe(502)
    expect((await ask(`${e2b.url}/health`)).status).toBe(204)
  })

  test('resumes one that requests may resume, for its own token alone', async ({ e2b }) => {
    const sandbox = await Sandbox.create({
      ...e2b.options,
      timeoutMs: 120_000,
      lifecycle: { onTimeout: 'pause', autoResume: true },
    })
    try {
      await sandbox.pause()
      const { 'x-access-token': _, ...stranger } = addressed(sandbox)
      expect((await ask(`${e2b.url}/health`, { headers: stranger })).status).toBe(502)
      expect((await ask(`${e2b.url}/envs`, { headers: { ...stranger, 'x-access-token': 'x' } })).status).toBe(
        401,
      )
      expect((await sandbox.getInfo()).state).toBe('paused')
      expect((await sandbox.commands.run('echo awake')).stdout).toBe('awake\n')
      expect((await sandbox.getInfo()).state).toBe('running')
    } finally {
      await sandbox.kill()
    }
  })

  test('leads to what its daemon has, and to nothing else', async ({ e2b }) => {
    await using opened = await open(e2b, { OWN: 'mine' })
    const headers = addressed(opened.sandbox)
    const env = await ask(`${e2b.url}/envs`, { headers })
    expect([env.status, json(env.text)]).toEqual([
      200,
      expect.objectContaining({ PATH: expect.any(String), OWN: 'mine' }),
    ])
    const usage = json((await ask(`${e2b.url}/metrics`, { headers })).text)
    expect(usage).toMatchObject({
      ts: expect.any(Number),
      cpu_count: expect.any(Number),
      mem_total: expect.any(Number),
    })
    expect(usage.mem_used).toBeGreaterThan(0)
    for (const [method, path, status] of [
      ['POST', '/init', 404],
      ['GET', '/sandboxes', 404],
      ['GET', '/v1/server', 404],
      ['GET', '/nothing', 404],
      ['GET', '/process.Process/List', 405],
      ['PUT', '/files', 405],
      ['POST', '/process.Process/Nothing', 404],
    ] as const) {
      const reply = await ask(`${e2b.url}${path}`, { method, headers })
      expect([path, reply.status, json(reply.text).code]).toEqual([path, status, status])
    }
    // Without a sandbox that is named the path is our own API's.
    const own = await ask(`${e2b.url}/metrics`, { headers: { authorization: `Bearer ${e2b.apiKey}` } })
    expect(own.text).toContain('caisson_http_requests_total{operation="e2b.')
  })

  test('is not there on the unix socket', async ({ e2b }) => {
    await using opened = await open(e2b)
    const agent = new Agent()
    const createConnection = agent.createConnection.bind(agent)
    agent.createConnection = (_options, callback) =>
      createConnection({ path: e2b.server.socketPath } as never, callback) as never
    const asked = (path: string) =>
      ask(`http://localhost${path}`, { agent, headers: addressed(opened.sandbox) })
    expect((await asked('/v1/server')).status).toBe(200)
    for (const path of ['/sandboxes', '/envs', '/health', '/v2/sandboxes'])
      expect((await asked(path)).status).toBe(404)
    agent.destroy()
  })
})

describe.skipIf(cannotNetwork)('keys', () => {
  test('of either form, until they expire or are deleted', async ({ e2b }) => {
    const client = e2b.server.client()
    const list = (key: string, header = 'x-api-key') =>
      ask(`${e2b.url}/v2/sandboxes`, {
        headers: { [header]: header === 'authorization' ? `Bearer ${key}` : key },
      })
    const made = await client.call('createKey', { name: 'a', scopes: ['read'], format: 'e2b' })
    expect(made.key).toMatch(/^e2b_[0-9a-f]{64}$/)
    const ours = await client.call('createKey', { name: 'b', scopes: ['read'] })
    for (const key of [made.key, ours.key])
      for (const header of ['x-api-key', 'authorization']) expect((await list(key, header)).status).toBe(200)
    const own = await ask(`${e2b.url}/v1/sandboxes`, { headers: { authorization: `Bearer ${made.key}` } })
    expect(own.status).toBe(200)
    const create = await ask(`${e2b.url}/sandboxes`, {
      method: 'POST',
      headers: { 'x-api-key': made.key },
      body: '{"templateID":"base"}',
    })
    expect([create.status, json(create.text).code]).toEqual([403, 403])
    await client.call('deleteKey', { key: made.id })
    expect(json((await list(made.key)).text)).toMatchObject({ code: 401 })
    const brief = await client.call('createKey', { name: 'c', scopes: ['read'], ttl: 1 })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await list(brief.key)).status).toBe(401)
    await client.call('deleteKey', { key: ours.id })
  })

  test('bodies may be chunked, empty or wrong, and are answered in JSON', async ({ e2b }) => {
    const headers = { 'x-api-key': e2b.apiKey, 'content-type': 'application/json' }
    const post = (body?: string | Uint8Array, more = {}) =>
      ask(`${e2b.url}/v2/sandboxes`, {
        method: 'POST',
        headers: { ...headers, ...more },
        ...(body !== undefined && { body }),
      })
    for (const body of [
      '{',
      '[]',
      'null',
      '"x"',
      '\xff',
      '{"templateID": 5}',
      '{"templateID":"base","metadata":{"__proto__":"x"}}',
      '{"templateID":"base","metadata":{"\\u005f_proto__":"x"}}',
    ]) {
      const reply = await post(Buffer.from(body, 'latin1'))
      expect([body, reply.status, json(reply.text).code]).toEqual([body, 400, 400])
    }
    expect((await post(Buffer.alloc(9 * 1024 * 1024, ' '))).status).toBe(413)
    expect((await post(gzipSync('{"templateID": 5}'), { 'content-encoding': 'gzip' })).status).toBe(400)
    expect((await post('not gzip at all', { 'content-encoding': 'gzip' })).status).toBe(400)
    expect((await post('{}', { 'content-encoding': 'br' })).status).toBe(415)
    // An empty one is as good as an empty object.
    const empty = await ask(`${e2b.url}/sandboxes/iaaaaaaaaaaaaaaaaaaaa/pause`, { method: 'POST', headers })
    expect([empty.status, json(empty.text).code]).toEqual([404, 404])
    for (const path of ['/sandboxes/%zz', '/sandboxes/%2e%2e%2f', '/v2/nothing', '/sandboxes/']) {
      const reply = await ask(`${e2b.url}${path}`, { headers })
      expect([400, 404]).toContain(reply.status)
      expect(json(reply.text).code).toBe(reply.status)
    }
    const wrong = await ask(`${e2b.url}/sandboxes`, { method: 'PATCH', headers })
    expect([wrong.status, wrong.headers.allow]).toEqual([405, 'POST, GET'])
  })
})

describe.skipIf(cannotNetwork)('procedures', () => {
  test('take the JSON of their protocol and nothing else', async ({ e2b }) => {
    await using opened = await open(e2b)
    const headers = addressed(opened.sandbox)
    const unary = (body: string, type = 'application/json') =>
      ask(`${e2b.url}/process.Process/SendSignal`, {
        method: 'POST',
        body,
        headers: { ...headers, 'content-type': type },
      })
    for (const type of [
      'application/proto',
      'application/grpc',
      'application/connect+json',
      'text/plain',
      '',
    ])
      expect([type, (await unary('{}', type)).status]).toEqual([type, 415])
    for (const body of [
      '{',
      '{}',
      '{"process":{"pid":1,"tag":"x"},"signal":9}',
      '{"process":{"pid":1},"signal":7}',
      '{"process":{"pid":1.5},"signal":9}',
    ]) {
      const reply = await unary(body)
      expect([body, reply.status, json(reply.text).code]).toEqual([body, 400, 'invalid_argument'])
    }
    for (const signal of ['9', '"SIGNAL_SIGKILL"', '15']) {
      const reply = await unary(`{"process":{"pid":"77777"},"signal":${signal},"new":true}`)
      expect([reply.status, json(reply.text).code]).toEqual([404, 'not_found'])
    }
  })

  test('tell of a failure in the last envelope', async ({ e2b }) => {
    await using opened = await open(e2b)
    const headers = addressed(opened.sandbox)
    const failure = async (message: unknown) => {
      await using stream = await openStream(e2b.url, 'process.Process/Start', message, headers)
      const [last, ...others] = await stream.rest()
      expect([stream.status, stream.headers['content-type'], others, last?.flags]).toEqual([
        200,
        'application/connect+json',
        [],
        2,
      ])
      return last?.message.error.code
    }
    expect(await failure({})).toBe('invalid_argument')
    expect(await failure(envelope('{'))).toBe('invalid_argument')
    expect(await failure(envelope({}, 1))).toBe('invalid_argument')
    expect(await failure(envelope({}, 8))).toBe('invalid_argument')
    expect(await failure(Buffer.concat([envelope(shell('true')), envelope(shell('true'))]))).toBe(
      'invalid_argument',
    )
    expect(await failure(envelope(shell('true')).subarray(0, 9))).toBe('invalid_argument')
    expect(await failure(Buffer.from([0, 255, 255, 255, 255]))).toBe('invalid_argument')
    expect(await failure(Buffer.alloc(0))).toBe('invalid_argument')
    expect(await failure({ process: { cmd: '/not/there' } })).toBe('invalid_argument')
    expect(await failure({ process: { cmd: 'x', envs: { CAISSON_X: '1' } } })).toBe('invalid_argument')
    expect(await opened.sandbox.commands.list()).toEqual([])
  })

  test('keep a silent stream alive, and end it at its deadline', async ({ e2b }) => {
    await using opened = await open(e2b)
    const headers = addressed(opened.sandbox)
    await using stream = await openStream(e2b.url, 'process.Process/Start', shell('read line'), {
      ...headers,
      'keepalive-ping-interval': '1',
      'connect-timeout-ms': '2600',
    })
    const frames = await stream.rest()
    const last = frames.at(-1) as Frame
    expect(frames[0]?.message).toMatchObject({ event: { start: { pid: expect.any(Number) } } })
    expect(frames.slice(1, -1).map(({ message }) => message)).toContainEqual({ event: { keepalive: {} } })
    expect([last.flags, last.message.error.code]).toEqual([2, 'deadline_exceeded'])
  })

  test('take input as a stream', async ({ e2b }) => {
    await using opened = await open(e2b)
    const headers = addressed(opened.sandbox)
    await using started = await openStream(
      e2b.url,
      'process.Process/Start',
      shell('read a; read b; echo $b$a'),
      headers,
    )
    const { pid } = (await started.frames.next()).value.message.event.start
    const data = (text: string) => envelope({ data: { input: { stdin: btoa(text) } } })
    const body = Buffer.concat([
      envelope({ start: { process: { pid } } }),
      envelope({ keepalive: {} }),
      data('one\n'),
      data('two\n'),
    ])
    await using sent = await openStream(e2b.url, 'process.Process/StreamInput', body, headers)
    expect(await sent.rest()).toEqual([
      { flags: 0, message: {} },
      { flags: 2, message: {} },
    ])
    const messages = (await started.rest()).map(({ message }) => message)
    expect(messages).toEqual([
      { event: { data: { stdout: btoa('twoone\n') } } },
      { event: { end: { exitCode: 0, exited: true, status: 'exit status 0' } } },
      {},
    ])
    await using nameless = await openStream(e2b.url, 'process.Process/StreamInput', data('x'), headers)
    expect((await nameless.rest())[0]?.message.error.code).toBe('invalid_argument')
  })

  test('wait for a reader that is slow, and lose nothing', async ({ e2b }) => {
    await using opened = await open(e2b)
    const headers = addressed(opened.sandbox)
    const bytes = 96 * 1024 * 1024
    await using stream = await openStream(
      e2b.url,
      'process.Process/Start',
      shell(`head -c ${bytes} /dev/zero; echo end`),
      headers,
    )
    await stream.frames.next()
    // Nothing is read for a while: more is made than the server keeps.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    let received = 0
    let largest = 0
    for (;;) {
      const { value, done } = await stream.frames.next()
      if (done || value.flags === 2) break
      const piece = Buffer.from(value.message.event.data?.stdout ?? '', 'base64').length
      received += piece
      largest = Math.max(largest, piece)
    }
    expect(received).toBe(bytes + 4)
    expect(largest).toBeLessThanOrEqual(32 * 1024)
  })

  test('by hundreds at once', async ({ e2b }) => {
    const sandboxes = await Promise.all(Array.from({ length: 4 }, () => open(e2b)))
    const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
    try {
      const streams = await Promise.all(
        sandboxes.map(async ({ sandbox }) => {
          const headers = addressed(sandbox)
          const first = await openStream(
            e2b.url,
            'process.Process/Start',
            shell('read line; echo "$line"; exit 7'),
            headers,
            agent,
          )
          const { pid } = (await first.frames.next()).value.message.event.start
          const connect = async () => {
            const stream = await openStream(
              e2b.url,
              'process.Process/Connect',
              { process: { pid } },
              headers,
              agent,
            )
            await stream.frames.next()
            return stream
          }
          const others = await Promise.all(Array.from({ length: 124 }, connect))
          return { sandbox, pid, all: [first, ...others] }
        }),
      )
      expect(streams.flatMap(({ all }) => all).length).toBe(500)
      for (const { sandbox, pid } of streams) await sandbox.commands.sendStdin(pid, `${sandbox.sandboxId}\n`)
      for (const { sandbox, all } of streams)
        for (const stream of all) {
          const messages = (await stream.rest()).map(({ message }) => message)
          expect(messages).toEqual([
            { event: { data: { stdout: btoa(`${sandbox.sandboxId}\n`) } } },
            {
              event: { end: { exitCode: 7, exited: true, status: 'exit status 7', error: 'exit status 7' } },
            },
            {},
          ])
        }
    } finally {
      agent.destroy()
      await Promise.all(sandboxes.map((sandbox) => sandbox[Symbol.asyncDispose]()))
    }
  })
})
