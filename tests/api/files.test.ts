import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KEYS } from './fake.ts'
import { startServer, type TestServer } from './server.ts'

let server: TestServer
beforeEach(async () => {
  server = await startServer()
})
afterEach(() => server[Symbol.asyncDispose]())

const FILES = '/v1/sandboxes/sbx_1/files'
const at = (path: string) => `${FILES}/content?path=${encodeURIComponent(path)}`

test('what is written is read back, whatever its bytes and name', async () => {
  const bytes = randomBytes(5_000_000)
  const name = 'ü +&%2f\n"😀'
  const put = await server.fetch('PUT', at(name), { body: bytes, headers: { 'content-type': 'image/png' } })
  expect(put.json).toMatchObject({ path: name, size: bytes.length, directoriesCreated: ['made'] })
  const got = await server.fetch('GET', at(name))
  expect(got.body.equals(bytes)).toBe(true)
  expect(got.headers['content-length']).toBe(String(bytes.length))
  expect(got.headers['content-type']).toBe('application/octet-stream')
  expect(JSON.parse(got.headers['x-caisson-file'] as string)).toMatchObject({ path: name, owner: 'agent' })
})

test('JSON is a file like any other', async () => {
  const headers = { 'content-type': 'application/json' }
  expect((await server.fetch('PUT', at('a.json'), { body: Buffer.from('{"not":'), headers })).status).toBe(
    200,
  )
  expect(server.fake.files.get('a.json')!.toString()).toBe('{"not":')
})

test('an empty file, with and without a length', async () => {
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    expect((await server.fetch('PUT', at('empty'), { headers })).json.size).toBe(0)
  }
  expect((await server.fetch('GET', at('empty'))).body.length).toBe(0)
})

test('an upload that breaks off leaves the old file', async () => {
  server.fake.files.set('f', Buffer.from('old'))
  const headers = { authorization: `Bearer ${KEYS.exec}`, 'content-length': '1000' }
  const upload = request({ port: server.port, method: 'PUT', path: at('f'), headers })
  upload.on('error', () => {})
  await new Promise((resolve) => upload.write('half', resolve))
  upload.destroy()
  await expect.poll(() => server.fake.brokenUploads).toBe(1)
  expect((await server.fetch('GET', at('f'))).body.toString()).toBe('old')
})

test('an upload that is refused on the way gets its answer', async () => {
  const reply = await server.fetch('PUT', at('full'), { body: randomBytes(20_000_000) })
  expect([reply.status, reply.json.error.code]).toEqual([507, 'no_space'])
})

test('a file that is shorter than it said breaks the connection', async () => {
  server.fake.files.set('lies', Buffer.from('abc'))
  await expect(server.fetch('GET', at('lies'))).rejects.toThrow(/aborted|hang up/)
})

test('a reader that leaves cancels the reading', async () => {
  server.fake.files.set('big', Buffer.alloc(64_000_000))
  const response = await server.open('GET', at('big'))
  await once(response, 'data')
  response.destroy()
  await expect.poll(() => server.fake.left).toBe(1)
})

test('missing files and impossible times', async () => {
  expect((await server.fetch('GET', at('none'))).json.error.code).toBe('file_not_found')
  server.fake.files.set('old', Buffer.from('x'))
  const { json } = await server.fetch('GET', `${FILES}/stat?path=old`)
  expect(json.modifiedAt).toBe('1970-01-01T00:00:00.000Z')
})

test('a listing names paths below its directory', async () => {
  const { json } = await server.fetch('GET', `${FILES}?path=/data`)
  expect(json.files[0]).toMatchObject({ name: 'é', path: '/data/é' })
})

test('stdin of any length goes through', async () => {
  const bytes = randomBytes(3_000_000)
  const reply = await server.fetch('POST', '/v1/executions/exe_1/stdin?close=true', { body: bytes })
  expect(reply.status).toBe(204)
  expect(Buffer.concat(server.fake.stdin).equals(bytes)).toBe(true)
  expect(server.fake.stdinClosed).toBe(true)
})
