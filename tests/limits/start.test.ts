import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { describe, expect, test } from 'vitest'
import { cannotRun } from '../crash/host.ts'
import { TestServer, temporaryDirectory } from '../fixture.ts'

/** What keeps a server from starting is said in its last words, and nothing is changed. */
async function refusal(server: TestServer): Promise<string> {
  const error = await server.up().then(
    () => null,
    (error: Error) => error,
  )
  if (error === null) throw new Error('the server started')
  return server.log().trim().split('\n').at(-1) ?? ''
}

async function listen(path: string | number): Promise<AsyncDisposable & { server: Server }> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  return { server, [Symbol.asyncDispose]: () => new Promise((resolve) => void server.close(() => resolve())) }
}

describe.skipIf(cannotRun !== null)('a server', () => {
  test('without crun says so, and how to mend it', async () => {
    await using server = await TestServer.start({
      started: false,
      env: { CAISSON_CRUN: '/nonexistent/crun' },
    })
    const said = await refusal(server)
    expect(said).toContain('/nonexistent/crun')
    expect(said).toMatch(/install|doctor/i)
  })

  test('whose launcher is missing says so', async () => {
    const config = { launcher: '/nonexistent/launcher' }
    await using server = await TestServer.start({ started: false, config })
    expect(await refusal(server)).toContain('launcher')
  })
})

describe('a server', () => {
  test('whose port is taken names it', async () => {
    await using taken = await listen(0)
    const { port } = taken.server.address() as { port: number }
    await using server = await TestServer.start({
      started: false,
      driver: 'memory',
      listen: `127.0.0.1:${port}`,
    })
    expect(await refusal(server)).toContain(`127.0.0.1:${port} is taken`)
  })

  test('replaces the socket that a killed one left behind', async () => {
    await using server = await TestServer.start({ driver: 'memory' })
    await server.kill9()
    await server.up()
    await using box = await Sandbox.create({ client: server.client() })
    expect((await box.exec(['true'])).exitCode).toBe(0)
  })

  test('does not take a data directory that another one serves, and names it', async () => {
    await using server = await TestServer.start({ driver: 'memory' })
    const second = await server.cli(['serve'])
    expect(second.code).not.toBe(0)
    expect(second.stderr).toContain(`the server with pid ${server.pid}`)
    await using box = await Sandbox.create({ client: server.client() })
    expect((await box.exec(['true'])).exitCode).toBe(0)
  })

  test.each(['garbage', 'cut'])('refuses a damaged database (%s) and leaves it as it is', async (damage) => {
    await using server = await TestServer.start({ driver: 'memory' })
    await using copies = await temporaryDirectory()
    await Sandbox.create({ client: server.client(), name: 'precious' })
    await server.stop()
    const path = join(server.dataDir, 'caisson.db')
    await copyFile(path, join(copies.path, 'good.db'))
    const good = await readFile(path)
    const bad = damage === 'cut' ? good.subarray(0, 4096 + 1000) : Buffer.from(good).fill(0xaa, 100, 9000)
    await writeFile(path, bad)
    const said = await refusal(server)
    expect(said).toContain(path)
    expect(said).toMatch(/damaged/)
    expect((await readFile(path)).equals(bad)).toBe(true)
    await copyFile(join(copies.path, 'good.db'), path)
    await server.up()
    const { sandboxes } = await server.client().call('listSandboxes', { all: true })
    expect(sandboxes.map(({ name }) => name)).toEqual(['precious'])
  })

  test('whose configuration is wrong names what is wrong', async () => {
    await using server = await TestServer.start({
      started: false,
      driver: 'memory',
      config: { maxSandboxes: 0, nonsense: true },
    })
    const said = await refusal(server)
    expect(said).toContain('maxSandboxes')
    expect(said).toContain('nonsense')
  })
})
