import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Config, loadConfig } from './config.ts'
import { Launcher } from './launcher/client.ts'
import { openParts } from './parts.ts'
import { Undo } from './undo.ts'

const installed = loadConfig({}, { PATH: process.env.PATH })
const withLauncher = test.skipIf(
  process.getuid?.() !== 0 || !existsSync(installed.launcher) || !existsSync(installed.crun),
)
const log = pino({ level: 'silent' })

let dataDir: string
let undo: Undo
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'caisson-parts-'))
  await mkdir(join(dataDir, 'run'), { mode: 0o700 })
  undo = new Undo()
})
afterEach(async () => {
  await undo[Symbol.asyncDispose]()
  await rm(dataDir, { recursive: true, force: true })
})

/** Its launcher, if one came up, is ended with the test. */
function open(flags: Partial<Config>) {
  const config = loadConfig({ dataDir, poolSize: '1Gi', ...flags }, { PATH: process.env.PATH })
  const socket = join(dataDir, 'run/launcher.sock')
  undo.add(async () => {
    if (!existsSync(socket)) return
    const { launcher: program, imagesDir, agent, crun, seccomp } = config
    const launcher = new Launcher({
      program,
      socket,
      dataDir,
      imagesDir,
      agent,
      crun,
      seccomp,
      instance: 'x',
    })
    await launcher.shutdown()
    await launcher.close()
  })
  return openParts(config, log, undo)
}

test('the memory driver has what is remembered', async () => {
  expect((await open({ driver: 'memory' })).layers.name).toBe('memory')
})

withLauncher('auto is the pool where there can be one (needs root, native/build and crun)', async () => {
  const { layers, driver } = await open({})
  expect(['btrfs', 'overlay']).toContain(layers.name)
  expect(layers.saves !== undefined).toBe(layers.name === 'btrfs')
  expect(driver.roots).toContain('pool')
})

withLauncher('a pool that is there and cannot be opened is no reason to do without', async () => {
  await writeFile(join(dataDir, 'pool.img'), 'no file system')
  await expect(open({})).rejects.toMatchObject({ code: 'host_not_ready' })
  expect(await readFile(join(dataDir, 'pool.img'), 'utf8')).toBe('no file system')
})

withLauncher('a size that makes no sense is refused, not replaced by another storage', async () => {
  await expect(open({ poolSize: '1Mi' })).rejects.toMatchObject({ code: 'invalid_request' })
})

withLauncher('an overlay is used when the configuration says so', async () => {
  const { layers } = await open({ storage: 'overlay' })
  expect([layers.name, layers.quota]).toEqual(['overlay', false])
  expect(existsSync(join(dataDir, 'pool.img'))).toBe(false)
})

test('a driver without a launcher has no pool', async () => {
  const agent = '/bin/true'
  await expect(open({ driver: 'local', storage: 'btrfs', agent })).rejects.toMatchObject({
    code: 'host_not_ready',
    message: expect.stringContaining('only the launcher has pools'),
  })
  expect((await open({ driver: 'local', agent })).layers.name).toBe('copy')
})
