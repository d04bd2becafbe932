import { STREAM_TYPE, StreamKind } from '@caisson/protocol/stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lines, records, startServer, type TestServer } from './server.ts'

let server: TestServer
beforeEach(async () => {
  server = await startServer()
})
afterEach(() => server[Symbol.asyncDispose]())

const JOBS = '/v1/sandboxes/sbx_1/jobs'
const OUTPUT = '/v1/executions/exe_1/output'

describe('what is not kept any more is told', () => {
  beforeEach(() => {
    server.fake.program = async function* () {
      yield { stream: 'stdout', data: Buffer.from('ab') }
      yield { stream: 'stdout', data: Buffer.from('cd'), gap: 10 }
      yield { stream: 'stderr', data: Buffer.from('ef') }
    }
  })

  test('in lines', async () => {
    const found = lines((await server.fetch('GET', OUTPUT)).body)
    expect(found.slice(1, 5)).toEqual([
      { type: 'stdout', offset: 0, data: 'ab' },
      { type: 'gap', offset: 12 },
      { type: 'stdout', offset: 12, data: 'cd' },
      { type: 'stderr', offset: 14, data: 'ef' },
    ])
  })

  test('in records', async () => {
    const found = records((await server.fetch('GET', OUTPUT, { headers: { accept: STREAM_TYPE } })).body)
    const { STARTED, STDOUT, STDERR, GAP, ENDED } = StreamKind
    expect(found.map(({ kind }) => kind)).toEqual([STARTED, STDOUT, GAP, STDOUT, STDERR, ENDED])
    expect(JSON.parse(found[2]!.payload.toString())).toEqual({ offset: 12 })
  })

  test('but not before the first byte, whose offset is told already', async () => {
    const found = lines((await server.fetch('GET', `${OUTPUT}?offset=12`)).body)
    expect(found.map(({ type }) => type)).toEqual(['started', 'stdout', 'stderr', 'ended'])
  })
})

test('a character torn apart by a gap keeps its bytes', async () => {
  const euro = Buffer.from('€')
  server.fake.program = async function* () {
    yield { stream: 'stdout', data: euro.subarray(0, 1) }
    yield { stream: 'stdout', data: euro.subarray(2), gap: 1 }
  }
  const found = lines((await server.fetch('GET', OUTPUT)).body)
  expect(found.slice(1, 4)).toEqual([
    { type: 'stdout', offset: 0, encoding: 'base64', data: euro.subarray(0, 1).toString('base64') },
    { type: 'gap', offset: 2 },
    { type: 'stdout', offset: 2, encoding: 'base64', data: euro.subarray(2).toString('base64') },
  ])
})

test('the end alone, instead of an offset', async () => {
  server.fake.kept = 11
  server.fake.program = async function* () {
    yield { stream: 'stdout', data: Buffer.from('hello world') }
  }
  const found = lines((await server.fetch('GET', `${OUTPUT}?tail=5`)).body)
  expect(found[0].offset).toBe(6)
  expect(found[1]).toMatchObject({ offset: 6, data: 'world' })
  expect(lines((await server.fetch('GET', `${OUTPUT}?tail=0`)).body)[0].offset).toBe(11)
  expect(lines((await server.fetch('GET', OUTPUT)).body)[0].offset).toBe(0)
})

test('logs are text', async () => {
  const reply = await server.fetch('GET', '/v1/executions/exe_1/logs?stream=stderr&tail=5&grep=a%7Cb')
  expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(reply.headers['x-content-type-options']).toBe('nosniff')
  expect(reply.body.toString()).toBe('a line\nanother')
  const query = { stream: 'stderr', follow: false, offset: 0, tail: 5, grep: 'a|b', timestamps: false }
  expect(JSON.parse(server.fake.calls.at(-1)!.slice('readLogs '.length))).toEqual(query)
})

test('a job is made once a key, and stopped with or without force', async () => {
  const body = JSON.stringify({ argv: ['x'] })
  const reply = await server.fetch('POST', JOBS, { body, headers: { 'idempotency-key': 'k1' } })
  expect([reply.status, reply.json.status]).toEqual([201, 'running'])
  await server.fetch('DELETE', `${JOBS}/job_1`)
  await server.fetch('DELETE', `${JOBS}/job_1?force=true`)
  expect(server.fake.calls).toEqual(['createJob k1', 'stopJob false', 'stopJob true'])
})

test.each([
  ['POST', JOBS, '{"argv":["missing"]}', 422, 'command_not_found'],
  ['POST', '/v1/sandboxes/sbx_2/jobs', '{"argv":["x"]}', 404, 'sandbox_not_found'],
  ['GET', `${JOBS}/job_2`, undefined, 404, 'execution_not_found'],
  ['DELETE', `${JOBS}/job_2`, undefined, 404, 'execution_not_found'],
  ['GET', '/v1/executions/exe_2/logs', undefined, 404, 'execution_not_found'],
  ['GET', '/v1/sandboxes/sbx_2/env', undefined, 404, 'sandbox_not_found'],
  ['GET', '/v1/sandboxes/sbx_2/events', undefined, 404, 'sandbox_not_found'],
  ['GET', '/v1/sandboxes/sbx_2/usage', undefined, 404, 'sandbox_not_found'],
])('%s %s of what is not there: %s', async (method, path, body, status, code) => {
  const reply = await server.fetch(method, path, body === undefined ? {} : { body })
  expect([reply.status, reply.json.error.code]).toEqual([status, code])
})

const BIG = 'x'.repeat(131_073)

/** A request, and the field that its refusal names. */
const BAD: [method: string, path: string, body: unknown, field: string][] = [
  ['POST', JOBS, {}, 'argv'],
  ['POST', JOBS, { argv: [] }, 'argv'],
  ['POST', JOBS, { argv: ['x\0'] }, 'argv'],
  ['POST', JOBS, { argv: ['x'], tag: '' }, 'tag'],
  ['POST', JOBS, { argv: ['x'], tag: 'x'.repeat(257) }, 'tag'],
  ['POST', JOBS, { argv: ['x'], outputKeep: 'middle' }, 'outputKeep'],
  ['POST', JOBS, { argv: ['x'], outputLimit: -1 }, 'outputLimit'],
  ['POST', JOBS, { argv: ['x'], tty: { cols: 0, rows: 1 } }, 'tty'],
  ['POST', JOBS, { argv: ['x'], kind: 'job' }, 'kind'],
  ['POST', JOBS, { argv: ['x'], killReason: null }, 'killReason'],
  ['GET', `${JOBS}?limit=0`, undefined, 'limit'],
  ['GET', `${JOBS}?limit=101`, undefined, 'limit'],
  ['GET', `${JOBS}?direction=up`, undefined, 'direction'],
  ['GET', `${JOBS}/a%2fb`, undefined, 'job'],
  ['DELETE', `${JOBS}/job_1?force=yes`, undefined, 'force'],
  ['GET', '/v1/sandboxes/sbx_1/executions?state=gone', undefined, 'state'],
  ['GET', '/v1/sandboxes/sbx_1/executions?kind=terminal', undefined, 'kind'],
  ['GET', '/v1/sandboxes/sbx_1/executions?since=yesterday', undefined, 'since'],
  ['GET', '/v1/executions/exe_1/logs?stream=both', undefined, 'stream'],
  ['GET', '/v1/executions/exe_1/logs?tail=-1', undefined, 'tail'],
  ['GET', '/v1/executions/exe_1/logs?tail=1000001', undefined, 'tail'],
  ['GET', '/v1/executions/exe_1/logs?offset=1.5', undefined, 'offset'],
  ['GET', `/v1/executions/exe_1/logs?grep=${'x'.repeat(1025)}`, undefined, 'grep'],
  ['GET', '/v1/executions/exe_1/logs?grep=', undefined, 'grep'],
  ['GET', '/v1/executions/exe_1/logs?timestamps=1', undefined, 'timestamps'],
  ['GET', `${OUTPUT}?tail=-1`, undefined, 'tail'],
  ['POST', '/v1/executions/exe_1/resize', { cols: 1 }, 'rows'],
  ['POST', '/v1/executions/exe_1/resize', { cols: 0, rows: 1 }, 'cols'],
  ['POST', '/v1/executions/exe_1/resize', { cols: 1, rows: 65_536 }, 'rows'],
  ['PATCH', '/v1/sandboxes/sbx_1/env', {}, 'env'],
  ['PATCH', '/v1/sandboxes/sbx_1/env', { env: { A: 1 } }, 'env.A'],
  ['PATCH', '/v1/sandboxes/sbx_1/env', { env: { A: BIG } }, 'env.A'],
  ['PATCH', '/v1/sandboxes/sbx_1/env', { env: { '': 'x' } }, 'env'],
  ['PATCH', '/v1/sandboxes/sbx_1/env', { A: '1' }, 'A'],
  ['GET', '/v1/sandboxes/sbx_1/events?limit=1000', undefined, 'limit'],
  ['GET', `/v1/sandboxes/sbx_1/events?type=${'x'.repeat(65)}`, undefined, 'type'],
  ['GET', '/v1/sandboxes/sbx_1/usage?since=1', undefined, 'since'],
  ['GET', '/v1/stats?start=yesterday', undefined, 'start'],
  ['GET', '/v1/stats?end=2026-13-01T00:00:00Z', undefined, 'end'],
  ['GET', '/v1/stats?start=2026-01-01', undefined, 'start'],
]

test.each(BAD)('%s %.60s %j is refused by name', async (method, path, body, field) => {
  const options = body === undefined ? {} : { body: JSON.stringify(body) }
  const reply = await server.fetch(method, path, options)
  expect([reply.status, reply.json.error.code]).toEqual([400, 'invalid_request'])
  expect(JSON.stringify(reply.json.error.details.issues)).toContain(field)
  expect(server.fake.calls).toEqual([])
})
