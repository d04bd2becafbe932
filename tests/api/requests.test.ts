import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KEYS } from './fake.ts'
import { collect, startServer, type TestServer } from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({
    allowedHosts: ['box.example'],
    allowedOrigins: ['https://console.example'],
    ready: () => ({ ready: false, reason: 'looking for sandboxes' }),
  })
})
afterAll(() => server[Symbol.asyncDispose]())

const code = async (...args: Parameters<TestServer['fetch']>) => {
  const { status, json } = await server.fetch(...args)
  expect(Object.keys(json.error).sort()).toEqual(['code', 'details', 'message', 'retry'])
  return [status, json.error.code, json.error.details.issues?.[0]?.path]
}
const post = (body: unknown, headers = {}) =>
  code('POST', '/v1/sandboxes', { body: typeof body === 'string' ? body : JSON.stringify(body), headers })

describe('input is parsed strictly, and the refusal names the field', () => {
  test.each<[string, unknown, string]>([
    ['a wrong type', { name: 5 }, 'name'],
    ['a nested one', { resources: { pids: 'many' } }, 'resources.pids'],
    [
      'one in a list',
      {
        files: [
          { path: '/a', content: 'x' },
          { path: 'a\0b', content: '' },
        ],
      },
      'files.1.path',
    ],
    ['an environment name', { env: { 'A=B': '1' } }, 'env.A=B'],
  ])('%s', async (_, body, path) => {
    expect(await post(body)).toEqual([400, 'invalid_request', path])
  })

  test.each(['privileged', 'hostPath', 'idBase', 'state'])(
    'a field that is not offered: %s',
    async (field) => {
      const { json } = await server.fetch('POST', '/v1/sandboxes', {
        body: JSON.stringify({ [field]: true }),
      })
      expect(json.error.message).toContain(field)
    },
  )

  test.each<[string, string]>([
    ['no JSON', '{"name":'],
    ['a list', '[]'],
    ['a key of the prototype', '{"__proto__":{"privileged":true}}'],
    ['deep nesting', '['.repeat(100_000)],
  ])('%s', async (_, body) => {
    expect((await post(body)).slice(0, 2)).toEqual([400, 'invalid_request'])
  })

  test('bytes that are not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"name":"'), Buffer.of(0xff), Buffer.from('"}')])
    const headers = { 'content-type': 'application/json' }
    expect((await code('POST', '/v1/sandboxes', { body, headers })).slice(0, 2)).toEqual([
      400,
      'invalid_request',
    ])
  })

  test('another content type', async () => {
    expect(await post('{}', { 'content-type': 'text/plain' })).toEqual([
      400,
      'invalid_request',
      'Content-Type',
    ])
  })

  test.each([
    ['an unknown parameter', '/v1/sandboxes?colour=red', ''],
    ['a parameter where none is taken', '/v1/server?x=1', 'x'],
    ['one given twice', '/v1/sandboxes?limit=1&limit=2', 'limit'],
    ['a number out of range', '/v1/sandboxes?limit=1000', 'limit'],
    ['a word for a number', '/v1/sandboxes?offset=x', 'offset'],
    ['bad percent encoding', '/v1/sandboxes?name=%ff', ''],
    ['a body where none is taken', '/v1/sandboxes/sbx_1', ''],
  ])('%s', async (what, path, field) => {
    const body = what.startsWith('a body') ? '{"force":true}' : undefined
    const method = body === undefined ? 'GET' : 'DELETE'
    const options = body === undefined ? {} : { body, headers: { 'content-length': String(body.length) } }
    expect(await code(method, path, options)).toEqual([400, 'invalid_request', field])
  })

  test.each(['', 'x'.repeat(256), 'has space', 'é'])('the idempotency key "%s"', async (key) => {
    const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') }
    expect(await post({}, headers)).toEqual([400, 'invalid_request', 'Idempotency-Key'])
  })

  test('an idempotency key where none is taken', async () => {
    const headers = { 'idempotency-key': 'k' }
    expect(await code('GET', '/v1/server', { headers })).toEqual([400, 'invalid_request', 'Idempotency-Key'])
  })
})

test('an empty body counts as {}', async () => {
  for (const body of ['', '{}']) {
    expect((await server.fetch('POST', '/v1/executions/exe_1/kill', { body })).status).toBe(200)
  }
  expect((await server.fetch('POST', '/v1/executions/exe_1/kill')).status).toBe(200)
})

test('create answers with its stages and passes the idempotency key on', async () => {
  const headers = { 'idempotency-key': 'once-1' }
  const reply = await server.fetch('POST', '/v1/sandboxes', { body: '{}', headers })
  expect(reply.status).toBe(201)
  expect(reply.headers['server-timing']).toBe('prepare;dur=1.50, start;dur=2.00')
  expect(server.fake.calls).toContain('createSandbox once-1')
})

describe('errors', () => {
  test('of the table keep their status and details', async () => {
    const { status, json } = await server.fetch('POST', '/v1/sandboxes', { body: '{"name":"taken"}' })
    expect(status).toBe(409)
    expect(json.error).toMatchObject({ code: 'name_taken', retry: false, details: { sandbox: 'sbx_1' } })
  })

  test('of other kinds tell nothing but the request', async () => {
    const { status, body } = await server.fetch('POST', '/v1/sandboxes', { body: '{"name":"bug"}' })
    expect(status).toBe(500)
    expect(body.toString()).not.toContain('secret detail')
    expect(JSON.parse(body.toString()).error.details.request).toMatch(/^req_/)
  })

  test.each([
    ['GET', '/'],
    ['GET', '/v1/nothing'],
    ['PUT', '/v1/sandboxes'],
    ['HEAD', '/healthz'],
    ['OPTIONS', '/v1/sandboxes'],
    ['GET', '/v1/../metrics'],
    ['GET', '//healthz'],
  ])('no such route: %s %s', async (method, path) => {
    const reply = await server.fetch(method, path)
    expect(reply.status).toBe(404)
    if (method !== 'HEAD') expect(reply.json.error.code).toBe('route_not_found')
  })

  test.each(['..%2f..%2fetc', '%2e%2e', 'sbx_1%00', 'a%2fb', '%ff%fe'])(
    'ids are only names: %s',
    async (id) => {
      const [status] = await code('GET', `/v1/sandboxes/${id}`)
      expect([400, 404]).toContain(status)
    },
  )

  test('a body that is too large is refused, and the answer arrives', async () => {
    const body = JSON.stringify({ argv: ['x'], input: 'x'.repeat(9_000_000) })
    const reply = await server.fetch('POST', '/v1/sandboxes/sbx_1/exec', { body })
    expect([reply.status, reply.json.error.code]).toEqual([413, 'payload_too_large'])
    expect(reply.json.error.details.limit).toBe(8 * 1024 * 1024)
  })

  test('a create that carries files may be larger', async () => {
    const files = [{ path: 'a', content: 'x'.repeat(20_000_000) }]
    expect((await server.fetch('POST', '/v1/sandboxes', { body: JSON.stringify({ files }) })).status).toBe(
      201,
    )
  })
})

describe('web pages', () => {
  test.each([
    ['localhost', 200],
    ['127.0.0.1', 200],
    ['[::1]', 200],
    ['BOX.example:80', 200],
    ['evil.example', 400],
    ['localhost.evil.example', 400],
    ['127.0.0.1.evil.example', 400],
    ['192.168.0.7', 400],
    ['localhost:1@evil.example', 400],
  ])('a request to %s answers %i', async (host, status) => {
    expect((await server.fetch('GET', '/v1/server', { headers: { host } })).status).toBe(status)
  })

  test.each([
    ['https://evil.example', 400],
    ['null', 400],
    ['http://localhost:1', 400],
    ['https://console.example', 200],
  ])('a page of %s answers %i', async (origin, status) => {
    const headers = { host: 'localhost', origin }
    expect((await server.fetch('GET', '/v1/server', { headers })).status).toBe(status)
  })

  test('a page of the server itself may call it', async () => {
    const headers = { host: 'localhost:7330', origin: 'http://localhost:7330' }
    const reply = await server.fetch('GET', '/v1/server', { headers })
    expect(reply.status).toBe(200)
    expect(reply.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('only a configured origin gets leave', async () => {
    const ask = (origin: string) =>
      server.fetch('OPTIONS', '/v1/sandboxes', {
        headers: { authorization: '', origin, 'access-control-request-method': 'POST' },
      })
    const allowed = await ask('https://console.example')
    expect([allowed.status, allowed.headers['access-control-allow-origin']]).toEqual([
      204,
      'https://console.example',
    ])
    const refused = await ask('https://evil.example')
    expect(refused.status).toBe(400)
    expect(refused.headers['access-control-allow-origin']).toBeUndefined()
  })
})

describe('bytes that could be read in two ways are refused', () => {
  const head = `POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${KEYS.admin}\r\nContent-Type: application/json\r\n`
  const smuggled = 'GET /v1/keys HTTP/1.1\r\nHost: localhost\r\n\r\n'

  test.each<[string, string]>([
    ['both lengths', `${head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['two content lengths', `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    ['the same length twice', `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
    ['a negative length', `${head}Content-Length: -1\r\n\r\n{}`],
    ['a signed length', `${head}Content-Length: +2\r\n\r\n{}`],
    ['a hexadecimal length', `${head}Content-Length: 0x2\r\n\r\n{}`],
    ['another coding last', `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ['a coding misspelt', `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['space before the colon', `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    ['a folded header', `${head}X: a\r\n b\r\nTransfer-Encoding:\r\n chunked\r\n\r\n`],
    ['bare LF', `${head.replaceAll('\r\n', '\n')}Content-Length: 2\n\n{}`],
    ['a bare CR', `${head}X: a\rTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}`],
    ['a chunk size with 0x', `${head}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`],
    ['a chunk that ends elsewhere', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n`],
    ['NUL in a header', `${head}X: a\0b\r\nContent-Length: 2\r\n\r\n{}`],
    ['headers without end', `${head}X: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['two hosts', `${head}Host: evil.example\r\nContent-Length: 2\r\n\r\n{}`],
    ['no host', `GET /v1/keys HTTP/1.1\r\nAuthorization: Bearer ${KEYS.admin}\r\n\r\n`],
    ['an unknown version', `GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n`],
    ['no HTTP', `\x16\x03\x01\x02\x00\x01\x00`],
  ])('%s', async (_, bytes) => {
    const answer = await server.raw(bytes)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.match(/HTTP\/1\.1 \d+ /g)).toHaveLength(1)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).error.code).toBe('invalid_request')
    expect((await server.fetch('GET', '/healthz')).status).toBe(200)
  })

  test('a refused body is never taken for the next request', async () => {
    const refused = head.replace(KEYS.admin, 'csk_wrong00000000000000000000')
    const answer = await server.raw(`${refused}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`)
    expect(answer.match(/HTTP\/1\.1 \d+ /g)).toEqual(['HTTP/1.1 401 '])
  })

  test('requests one after the other are answered in order', async () => {
    const one = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const answer = await server.raw(
      `${one}GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    )
    expect(answer.match(/HTTP\/1\.1 \d+ /g)).toEqual(['HTTP/1.1 200 ', 'HTTP/1.1 404 '])
  })
})

test('a connection goes on after a refusal in the middle of a body', async () => {
  const body = 'x'.repeat(3_000_000)
  const headers = `Host: localhost\r\nAuthorization: Bearer ${KEYS.read}\r\n`
  const upload = `PUT /v1/sandboxes/sbx_1/files/content?path=a HTTP/1.1\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
  const answer = await server.raw(`${upload}GET /v1/server HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`)
  expect(answer.match(/HTTP\/1\.1 \d+ /g)).toEqual(['HTTP/1.1 403 ', 'HTTP/1.1 200 '])
})

test('who asks before sending is told before sending', async () => {
  const ask = (path: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(server.port, '127.0.0.1')
      const headers = `Host: localhost\r\nAuthorization: Bearer ${KEYS.exec}\r\nExpect: 100-continue\r\n`
      socket.write(
        `PUT /v1/sandboxes/sbx_1/files/content?path=${path} HTTP/1.1\r\n${headers}Content-Length: 5\r\n\r\n`,
      )
      socket.once('data', (data) => {
        resolve(data.toString().split('\r\n')[0]!)
        socket.destroy()
      })
    })
  expect(await ask('a')).toBe('HTTP/1.1 100 Continue')
  expect(await ask('denied')).toBe('HTTP/1.1 403 Forbidden')
})

test('readiness, metrics and liveness', async () => {
  expect((await server.fetch('GET', '/healthz')).json).toEqual({ status: 'ok' })
  const ready = await server.fetch('GET', '/readyz')
  expect([ready.status, ready.json.reason]).toEqual([503, 'looking for sandboxes'])
  const text = (await collect(await server.open('GET', '/metrics'))).body.toString()
  for (const name of [
    'caisson_sandboxes{status="idle"} 1',
    'caisson_executions_running 0',
    'caisson_sandbox_create_seconds_count',
    'caisson_http_requests_total{operation="healthz",status="200"}',
    'caisson_output_bytes_total',
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
  ]) {
    expect(text).toContain(name)
  }
})

test('stopping is answered first', async () => {
  expect((await server.fetch('POST', '/v1/server/stop')).status).toBe(204)
  await expect.poll(() => server.stopped()).toBe(true)
})
