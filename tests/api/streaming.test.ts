import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { STREAM_TYPE, StreamKind } from '@caisson/protocol/stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KEYS, type Program, silent } from './fake.ts'
import { lines, records, startServer, type TestServer } from './server.ts'

/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000 }

let server: TestServer
beforeEach(async () => {
  server = await startServer()
})
afterEach(() => server[Symbol.asyncDispose]())

const BODY = JSON.stringify({ argv: ['x'] })
const EXEC = '/v1/sandboxes/sbx_1/exec'
const BINARY = { accept: STREAM_TYPE }

function says(...parts: ['stdout' | 'stderr', string | Buffer][]): Program {
  return async function* () {
    for (const [stream, data] of parts) yield { stream, data: Buffer.from(data) }
  }
}

/** The output in JSON lines as bytes, after checking that every record lies where the one before ended. */
function bytesOf(found: ReturnType<typeof lines>, from = 0): Buffer {
  let offset = from
  const pieces = found
    .filter(({ type }) => type === 'stdout' || type === 'stderr')
    .map((line) => {
      expect(line.offset).toBe(offset)
      const bytes = Buffer.from(line.data, line.encoding ?? 'utf8')
      offset += bytes.length
      return bytes
    })
  return Buffer.concat(pieces)
}

test('lines: started, output with offsets, ended', async () => {
  server.fake.program = says(['stdout', 'out\n'], ['stderr', 'err\n'])
  const reply = await server.fetch('POST', EXEC, { body: BODY })
  expect(reply.status).toBe(200)
  expect(reply.headers['content-type']).toBe('application/x-ndjson')
  expect(reply.headers['x-accel-buffering']).toBe('no')
  const found = lines(reply.body)
  expect(found.map(({ type }) => type)).toEqual(['started', 'stdout', 'stderr', 'ended'])
  expect(found[0]).toMatchObject({ offset: 0, execution: { id: 'exe_1' } })
  expect(found[2]).toEqual({ type: 'stderr', offset: 4, data: 'err\n' })
  expect(found[3].execution).toMatchObject({ ending: 'exited', exitCode: 0 })
})

test('records: the same bytes, and large chunks are split', async () => {
  const big = randomBytes(2_500_000)
  server.fake.program = says(['stdout', big], ['stderr', 'e'])
  const found = records((await server.fetch('POST', EXEC, { body: BODY, headers: BINARY })).body)
  expect(found.every(({ payload }) => payload.length <= 1_048_576)).toBe(true)
  const out = found.filter(({ kind }) => kind === StreamKind.STDOUT).map(({ payload }) => payload)
  expect(Buffer.concat(out).equals(big)).toBe(true)
  expect(found[0]!.kind).toBe(StreamKind.STARTED)
  expect([found.at(-2)!.kind, found.at(-2)!.payload.toString()]).toEqual([StreamKind.STDERR, 'e'])
  expect(found.at(-1)!.kind).toBe(StreamKind.ENDED)
})

describe('lines keep every byte', () => {
  test('of characters split across chunks', async () => {
    const text = Buffer.from('aé€😀z'.repeat(50))
    server.fake.program = says(...[...text].map((byte) => ['stdout', Buffer.of(byte)] as ['stdout', Buffer]))
    const found = lines((await server.fetch('POST', EXEC, { body: BODY })).body)
    expect(bytesOf(found).equals(text)).toBe(true)
    expect(found.some(({ encoding }) => encoding === 'base64')).toBe(false)
  })

  test('of a character torn apart by the other stream', async () => {
    const euro = Buffer.from('€')
    server.fake.program = says(['stdout', euro.subarray(0, 2)], ['stderr', '!'], ['stdout', euro.subarray(2)])
    const found = lines((await server.fetch('POST', EXEC, { body: BODY })).body)
    expect(bytesOf(found)).toEqual(Buffer.from([...euro.subarray(0, 2), 0x21, ...euro.subarray(2)]))
  })

  test.each([
    ['random bytes', randomBytes(100_000)],
    ['an overlong form', Buffer.of(0xc0, 0x80)],
    ['a surrogate', Buffer.of(0xed, 0xa0, 0x80)],
    ['an end in the middle of a character', Buffer.of(0x61, 0xf0, 0x9f)],
    ['continuation bytes alone', Buffer.of(0x80, 0x80, 0x80, 0x80)],
    ['newlines and NUL', Buffer.from('\0\n\r\n')],
  ])('%s', async (_, bytes) => {
    server.fake.program = async function* () {
      for (let at = 0; at < bytes.length; at += 777)
        yield { stream: 'stdout', data: bytes.subarray(at, at + 777) }
    }
    const found = lines((await server.fetch('POST', EXEC, { body: BODY })).body)
    expect(bytesOf(found).equals(bytes)).toBe(true)
  })
})

test('attachExecution goes on from an offset', async () => {
  server.fake.program = says(['stdout', 'hello '], ['stdout', 'world'])
  const found = lines((await server.fetch('GET', '/v1/executions/exe_1/output?offset=8')).body)
  expect(found[0].offset).toBe(8)
  expect(bytesOf(found, 8).toString()).toBe('rld')
})

test('a short command leaves in one write', async () => {
  server.fake.program = says(['stdout', 'hi\n'])
  const socket = connect(server.socketPath)
  await once(socket, 'connect')
  const head = `POST ${EXEC} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`
  socket.write(`${head}Content-Length: ${BODY.length}\r\n\r\n${BODY}`)
  const [first] = (await once(socket, 'data')) as [Buffer]
  expect(first.toString()).toMatch(/"type":"ended"[\s\S]*\r\n0\r\n\r\n$/)
  socket.destroy()
})

test('headers and output of a quiet command come at once', async () => {
  server.fake.program = silent
  const response = await server.open('POST', EXEC, { body: BODY })
  const [first] = (await once(response, 'data')) as [Buffer]
  expect(lines(first)[0].type).toBe('started')
  response.destroy()
})

test('a failure before the first record is an ordinary error', async () => {
  const missing = await server.fetch('POST', EXEC, { body: JSON.stringify({ argv: ['missing'] }) })
  expect([missing.status, missing.json.error.code]).toEqual([422, 'command_not_found'])
  const nowhere = await server.fetch('POST', '/v1/sandboxes/sbx_2/exec', { body: BODY })
  expect([nowhere.status, nowhere.json.error.code]).toEqual([404, 'sandbox_not_found'])
})

test('a failure on the way is the last record, and tells nothing internal', async () => {
  server.fake.program = async function* () {
    yield { stream: 'stdout', data: Buffer.from('x') }
    throw new Error('secret detail')
  }
  const found = lines((await server.fetch('POST', EXEC, { body: BODY })).body)
  expect(found.at(-1)).toMatchObject({ type: 'error', error: { code: 'internal' } })
  expect(JSON.stringify(found)).not.toContain('secret detail')
})

test('a client that leaves stops the reading', async () => {
  server.fake.program = silent
  const response = await server.open('POST', EXEC, { body: BODY })
  await once(response, 'data')
  response.destroy()
  await expect.poll(() => server.fake.left, PATIENT).toBe(1)
})

test('a client that leaves ends a run', async () => {
  server.fake.program = silent
  const body = JSON.stringify({ execution: { argv: ['x'] } })
  const response = await server.open('POST', '/v1/run', { body })
  expect(response.headers['server-timing']).toBe('start;dur=2.00')
  await once(response, 'data')
  response.destroy()
  await server.fake.aborted.promise
})

test('a slow reader holds the program back, in bounded memory', async () => {
  server.fake.program = async function* () {
    for (;;) yield { stream: 'stdout', data: Buffer.alloc(256 * 1024, 'x') }
  }
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  const head = `POST ${EXEC} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${KEYS.exec}\r\nAccept: ${STREAM_TYPE}\r\n`
  socket.write(`${head}Content-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`)
  await once(socket, 'readable')
  // It stands still once the kernel's buffers are full: whatever is produced after that was read by somebody.
  let before = -1
  while (server.fake.produced !== before) {
    before = server.fake.produced
    await sleep(200)
  }
  expect(before).toBeLessThan(32 * 1024 * 1024)
  socket.resume()
  await expect.poll(() => server.fake.produced, PATIENT).toBeGreaterThan(before + 64 * 1024 * 1024)
  socket.destroy()
  await expect.poll(() => server.fake.left, PATIENT).toBe(1)
})
