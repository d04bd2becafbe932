import { afterEach, beforeEach, expect, test } from 'vitest'
import { startServer, type TestServer } from './server.ts'

let server: TestServer
beforeEach(async () => {
  server = await startServer()
})
afterEach(() => server[Symbol.asyncDispose]())

const linesOf = (body: Buffer) =>
  body
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

test('a build that fails after it began is told by its last line', async () => {
  const reply = await server.fetch('POST', '/v1/runtimes/base:latest/build')
  expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/x-ndjson'])
  const [step, failure] = linesOf(reply.body)
  expect(step).toEqual({ step: 'one' })
  expect(failure.error.code).toBe('build_failed')
  expect(failure.error.message).toContain('no network')
})

test('the bytes of an import reach the server as they are', async () => {
  const headers = { 'content-type': 'application/json' }
  const reply = await server.fetch('POST', '/v1/snapshots/import?name=ml', {
    body: Buffer.from('{"no'),
    headers,
  })
  expect([reply.status, reply.json.id]).toEqual([201, 'snp_1'])
  expect(server.fake.calls).toContain('importSnapshot {"no')
})

test('a snapshot is named by name and tag in the path', async () => {
  for (const path of ['python-ml:latest', 'python-ml%3Alatest', 'snp_1'])
    expect((await server.fetch('GET', `/v1/snapshots/${path}`)).status).toBe(200)
})

test.each(['..%2f..%2fkeys', 'a%00b', '-x', 'a/b'.replace('/', '%2f'), 'x'.repeat(300)])(
  'the snapshot %j is no reference',
  async (path) => {
    const reply = await server.fetch('GET', `/v1/snapshots/${path}`)
    expect(reply.json.error.code).toBe('invalid_request')
  },
)

test.each([
  ['POST', '/v1/sandboxes/sbx_1/pause', { depth: 'deep' }],
  ['POST', '/v1/sandboxes/sbx_1/pause', { deepth: 'memory' }],
  ['POST', '/v1/sandboxes/sbx_1/fork', { count: 0 }],
  ['POST', '/v1/sandboxes/sbx_1/fork', { count: 101 }],
  ['POST', '/v1/sandboxes/sbx_1/checkpoints', { name: 'No Spaces' }],
  ['POST', '/v1/sandboxes/sbx_1/snapshots', { tag: 'a b' }],
  ['PUT', '/v1/snapshots/snp_1/tag', {}],
  ['POST', '/v1/sessions', { pauseAfter: -1 }],
  ['POST', '/v1/storage/gc', { dryRun: 'yes' }],
])('%s %s with %j is refused', async (method, path, body) => {
  const reply = await server.fetch(method, path, { body: JSON.stringify(body) })
  expect([reply.status, reply.json.error.code]).toEqual([400, 'invalid_request'])
})
