import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { processesOf, runCli, TestServer } from '../fixture.ts'

const root = resolve(import.meta.dirname, '../..')

/** Server processes of a data directory. */
const serversOf = (dataDir: string): number[] =>
  processesOf(dataDir).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('server/src/main.ts')
    } catch {
      return false
    }
  })

describe('without a server', () => {
  test('the first verb that needs one starts it, and says so once', async () => {
    await using server = await TestServer.start({ started: false })
    expect(await server.cli(['server', 'status'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no server'),
    })
    expect(serversOf(server.dataDir)).toEqual([])

    const first = await server.cli(['run', '--', 'echo', 'hi'])
    expect(first).toMatchObject({ code: 0, stdout: 'hi\n' })
    expect(first.stderr).toMatch(/started the local server/)
    expect(await server.cli(['run', '--', 'echo', 'hi'])).toMatchObject({ code: 0, stderr: '' })

    const status = await server.cli(['server', 'status', '--json'])
    expect(JSON.parse(status.stdout)).toMatchObject({ running: true, dataDir: server.dataDir })
    expect((await server.cli(['server', 'stop'])).stdout).toBe('stopped\n')
    expect(serversOf(server.dataDir)).toEqual([])
    expect((await server.cli(['server', 'stop'])).stdout).toBe('no server ran\n')
  })

  test('many at once start one', async () => {
    await using server = await TestServer.start({ started: false })
    const results = await Promise.all(Array.from({ length: 5 }, () => server.cli(['list', '--json'])))
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
    expect(results.filter(({ stderr }) => stderr.includes('started')).length).toBe(1)
    expect(serversOf(server.dataDir).length).toBe(1)
    expect(await server.cli(['serve', '--background', '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"started": false'),
    })
  })

  test('a killed one is started again, and its sandboxes are found', async () => {
    await using server = await TestServer.start({ started: false })
    await server.cli(['create', '--name', 'kept'])
    for (const pid of serversOf(server.dataDir)) process.kill(pid, 'SIGKILL')
    await expect.poll(() => serversOf(server.dataDir)).toEqual([])
    expect(await server.cli(['exec', 'kept', '--', 'echo', 'alive'])).toMatchObject({ stdout: 'alive\n' })
  })

  test('one that cannot start is explained by its log', async () => {
    await using server = await TestServer.start({ started: false })
    await mkdir(join(server.dataDir, 'run'), { recursive: true, mode: 0o700 })
    await writeFile(join(server.dataDir, 'caisson.json'), '{"driver":"steam"}')
    const { code, stderr } = await server.cli(['list'], { env: { CAISSON_DRIVER: '' } })
    expect(code).toBe(1)
    expect(stderr).toContain('could not be started')
    expect(stderr).toContain('driver')
    expect(serversOf(server.dataDir)).toEqual([])
  })

  test('a remote one is never started', async () => {
    await using server = await TestServer.start({ started: false })
    const url = 'http://127.0.0.1:9'
    expect(await server.cli(['list'], { env: { CAISSON_URL: url } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(url),
    })
    expect(serversOf(server.dataDir)).toEqual([])
  })
})

describe('caisson serve', () => {
  test('answers over TCP to those with a key', async () => {
    await using server = await TestServer.start({ listen: '127.0.0.1:0' })
    const { url } = await server.client().call('getServer')
    const over = (key: string | undefined) =>
      runCli(['list', '--json'], { env: { CAISSON_URL: url!, ...(key && { CAISSON_API_KEY: key }) } })
    expect(await over(undefined)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('unauthenticated'),
    })
    const key = (await server.cli(['keys', 'create', 'test', '--scope', 'read'])).stdout.trim()
    expect((await over(key)).code).toBe(0)
    const refused = await runCli(['run', '--', 'true'], { env: { CAISSON_URL: url!, CAISSON_API_KEY: key } })
    expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining('scope') })
  })

  test('in the foreground ends with a signal, and stops', async () => {
    await using server = await TestServer.start({ started: false })
    const { code } = await server.cli(['serve'], {
      onSpawn: async (child) => {
        const client = server.client()
        for (let ready = false; !ready; )
          ready = await client.json('/readyz').then(
            () => true,
            () => false,
          )
        child.kill('SIGTERM')
      },
    })
    expect(code).toBe(0)
    expect(serversOf(server.dataDir)).toEqual([])
  })
})

describe('the SDK', () => {
  test('starts the local server when there is none, one for all', async () => {
    await using server = await TestServer.start({ started: false })
    const program = `
      import { getSandbox } from 'caisson'
      const box = await getSandbox({ name: 'shared' })
      console.log((await box.exec(['echo', 'hi'])).stdout.trim(), box.id)`
    const env = { ...server.env, CAISSON_BIN: join(root, 'caisson') }
    const run = () =>
      promisify(execFile)(join(root, 'node_modules/.bin/node'), ['--input-type=module', '-e', program], {
        env,
        cwd: root,
      })
    const outputs = (await Promise.all([run(), run(), run()])).map(({ stdout }) => stdout)
    expect(outputs[0]).toMatch(/^hi sbx_/)
    expect(new Set(outputs).size).toBe(1)
    expect(serversOf(server.dataDir).length).toBe(1)
  })
})
