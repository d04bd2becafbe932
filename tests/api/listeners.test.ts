import { spawnSync } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silent } from './fake.ts'
import { startServer, type TestServer } from './server.ts'

let server: TestServer
let directory: string
beforeEach(async () => {
  server = await startServer()
  directory = await mkdtemp(join(tmpdir(), 'caisson-listen-'))
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error) => error,
  )

test('only the owner can reach the socket', async () => {
  expect((await lstat(server.socketPath)).mode & 0o777).toBe(0o600)
  expect((await lstat(join(server.directory, 'run'))).mode & 0o777).toBe(0o700)
})

test('an open directory is closed first', async () => {
  await mkdir(join(directory, 'run'))
  await chmod(join(directory, 'run'), 0o755)
  await server.api.listeners.listenUnix(join(directory, 'run', 's'))
  expect((await lstat(join(directory, 'run'))).mode & 0o777).toBe(0o700)
})

test('a socket of a dead server is replaced', async () => {
  const path = join(directory, 's')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  expect((await lstat(path)).isSocket()).toBe(true)
  await server.api.listeners.listenUnix(path)
  expect((await server.fetch('GET', '/healthz', { socketPath: path })).status).toBe(200)
})

test('a socket that answers is refused and left alone', async () => {
  const error = await refusal(server.api.listeners.listenUnix(server.socketPath))
  expect(error.code).toBe('host_not_ready')
  expect(error.message).toContain('another server answers')
  expect((await server.fetch('GET', '/healthz', { socketPath: server.socketPath })).status).toBe(200)
})

test('what is not a socket is never removed', async () => {
  const path = join(directory, 's')
  await writeFile(path, 'precious')
  expect((await refusal(server.api.listeners.listenUnix(path))).message).toContain('is not a socket')
  expect((await lstat(path)).isFile()).toBe(true)
})

test('a path that is too long is refused with what to do', async () => {
  const error = await refusal(server.api.listeners.listenUnix(join(directory, 'x'.repeat(120))))
  expect(error.message).toContain('CAISSON_DATA_DIR')
})

test('a taken port is named', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  const error = await refusal(server.api.listeners.listenTcp(`127.0.0.1:${port}`))
  expect([error.code, error.message]).toEqual([
    'host_not_ready',
    expect.stringContaining(`127.0.0.1:${port} is taken`),
  ])
  other.close()
})

test.each(['nonsense', '127.0.0.1', '127.0.0.1:99999', 'a b:80'])('%s is no address', async (address) => {
  expect((await refusal(server.api.listeners.listenTcp(address))).message).toContain('no address')
})

test('closing breaks streams and removes the socket', async () => {
  server.fake.program = silent
  const response = await server.open('POST', '/v1/sandboxes/sbx_1/exec', { body: '{"argv":["x"]}' })
  const broken = new Promise((resolve) => response.once('error', resolve))
  response.resume()
  await server.api.close()
  await broken
  expect(await refusal(lstat(server.socketPath))).toMatchObject({ code: 'ENOENT' })
})
