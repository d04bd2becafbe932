import { once } from 'node:events'
import { get } from 'node:http'
import { type Client, Sandbox } from 'caisson'
import { afterAll, expect } from 'vitest'
import { type TestServer, test } from '../fixture.ts'
import { textOf } from './raw.ts'

let client: Client
let box: Sandbox
let job: string
const SCRIPT = `
for i in 1 2 3; do echo out $i; echo err $i >&2; done
printf 'a\\303\\n\\377b\\n'
printf last
`
test.beforeAll(async ({ server }) => {
  client = server.client()
  box = (await Sandbox.create({ client })).keep()
  job = (await client.call('createJob', { id: box.id, argv: ['sh', '-c', SCRIPT] })).id
  await (await box.attach(job)).wait()
})
afterAll(() => box?.delete())

const logs = async (server: TestServer, query: Record<string, string> = {}) =>
  textOf(server, `/v1/executions/${job}/logs?${new URLSearchParams(query)}`)

const NOT_UTF8 = Buffer.from([0x61, 0xc3, 0x0a, 0xff, 0x62, 0x0a]).toString()

test.for<[Record<string, string>, string]>([
  [{ stream: 'stdout' }, `out 1\nout 2\nout 3\n${NOT_UTF8}last`],
  [{ stream: 'stderr' }, 'err 1\nerr 2\nerr 3\n'],
  [{ stream: 'stderr', tail: '1' }, 'err 3\n'],
  [{ stream: 'stdout', tail: '1' }, 'last'],
  [{ stream: 'stdout', tail: '0' }, ''],
  [{ stream: 'stdout', tail: '1000' }, `out 1\nout 2\nout 3\n${NOT_UTF8}last`],
  [{ grep: '^out [23]$' }, 'out 2\nout 3\n'],
  [{ stream: 'stderr', grep: '1|3', tail: '2' }, 'err 3\n'],
  [{ grep: '(?i)OUT 1|LAST' }, 'out 1\nlast'],
  [{ grep: 'nothing' }, ''],
])('%j', async ([query, expected], { server }) => {
  expect(await logs(server, query)).toEqual({ status: 200, text: expected })
})

test('times are those of the lines', async ({ server }) => {
  const { text } = await logs(server, { stream: 'stdout', timestamps: 'true', grep: 'out' })
  const lines = text.trimEnd().split('\n')
  expect(lines).toHaveLength(3)
  const { createdAt, endedAt } = await client.call('getExecution', { execution: job })
  for (const line of lines) {
    const [, time] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) out \d$/.exec(line)!
    // Times are kept to about 10 ms.
    expect(Date.parse(time!)).toBeGreaterThanOrEqual(Date.parse(createdAt) - 50)
    expect(Date.parse(time!)).toBeLessThanOrEqual(Date.parse(endedAt!) + 50)
  }
})

test.for<[string, string]>([
  ['grep=(', 'grep'],
  ['grep=%28%3F%3Dx%29', 'grep'],
  ['grep=', 'grep'],
  ['tail=-1', 'tail'],
  ['stream=both', 'stream'],
  ['follow=maybe', 'follow'],
  ['color=red', 'color'],
])('?%s is refused', async ([query, name], { server }) => {
  const { status, text } = await textOf(server, `/v1/executions/${job}/logs?${query}`)
  expect(status).toBe(400)
  expect(JSON.parse(text).error).toMatchObject({ code: 'invalid_request' })
  expect(text).toContain(name)
})

test('lines are told as they come, until the end', async ({ server }) => {
  const { id } = await client.call('createJob', {
    id: box.id,
    argv: ['sh', '-c', 'echo match one; read a; echo other; echo match two; read b; printf "match three"'],
    stdin: true,
  })
  const path = `/v1/executions/${id}/logs?follow=true&grep=match`
  const [response] = await once(get({ socketPath: server.socketPath, path, agent: false }), 'response')
  expect(response.headers['content-type']).toBe('text/plain; charset=utf-8')
  const told = response[Symbol.asyncIterator]()
  expect((await told.next()).value.toString()).toBe('match one\n')
  await client.upload('writeStdin', { execution: id }, '\n')
  expect((await told.next()).value.toString()).toBe('match two\n')
  await client.upload('writeStdin', { execution: id }, '\n')
  expect((await told.next()).value.toString()).toBe('match three')
  expect((await told.next()).done).toBe(true)
})

test('a line without end is passed on, in bounded memory, and its tail is the whole line', async ({
  server,
}) => {
  const { id } = await client.call('startExecution', {
    id: box.id,
    argv: ['sh', '-c', 'head -c 5000000 /dev/zero | tr "\\0" x; echo; echo short'],
  })
  await (await box.attach(id)).wait()
  const path = `/v1/executions/${id}/logs`
  expect((await textOf(server, `${path}?timestamps=true`)).text).toMatch(/^\S+ x{5000000}\n\S+ short\n$/)
  expect((await textOf(server, `${path}?tail=1`)).text).toBe('short\n')
  expect((await textOf(server, `${path}?tail=2`)).text).toHaveLength(5_000_007)
})

test('what does not exist has no logs', async ({ server }) => {
  expect((await textOf(server, '/v1/executions/job_none/logs')).status).toBe(404)
})
