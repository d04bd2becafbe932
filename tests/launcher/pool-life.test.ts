import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, until, World } from './fixture.ts'
import { endRoots, GIB, inside, killAll, MIB, makeRoot, refused } from './pool-world.ts'

const run = promisify(execFile)

describe.skipIf(cannotRun)('a pool and its launchers', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
    await world.launcher.pool.open(GIB)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const pool = () => world.launcher.pool
  const make = (id: string, from?: string | null, diskBytes?: number) => makeRoot(world, id, from, diskBytes)
  const end = (...ids: string[]) => endRoots(world, ...ids)

  test('goes on beneath running sandboxes when the launcher is killed', async () => {
    await make('stays', null, 16 * MIB)
    await world.startOnPool('stays')
    await world.ask('stays', 'put /tmp/file kept')
    const loops = await world.loops()
    await inside(world, 'mkdir', join(world.dataDir, 'pool/saves/new-half'))
    await inside(world, 'btrfs', 'subvolume', 'create', join(world.dataDir, 'pool/sandboxes/new-half'))
    await world.killLauncher()
    expect(await world.ask('stays', 'cat /tmp/file')).toBe('kept')
    await pool().save('stays', 'sav_after')
    expect(await world.loops()).toEqual(loops)
    expect(await inside(world, 'ls', join(world.dataDir, 'pool/sandboxes'))).toBe('stays\n')
    expect(await inside(world, 'ls', join(world.dataDir, 'pool/saves'))).toBe('sav_after\n')
    expect(await world.ask('stays', 'fill /tmp/big 32')).toBe('fill EDQUOT\n')
    await end('stays')
    await pool().removeSave('sav_after')
  })

  test('has whole roots whenever the launcher and its workers are killed', async () => {
    for (const name of ['a', 'b']) {
      await make(name)
      await world.startOnPool(name)
      await world.ask(name, `put /tmp/file ${name}`)
      await pool().save(name, `sav_${name}`)
      await end(name)
    }
    await make('crash', 'sav_a')
    for (let i = 0; i < 12; i++) {
      const steps = Promise.allSettled([
        pool().replaceRoot('crash', i % 2 ? 'sav_a' : 'sav_b', 8 * MIB),
        pool().save('crash', `sav_${i}`),
        make(`new_${i}`, 'sav_a'),
      ])
      await sleep(i / 2)
      await killAll(world)
      await steps
      await world.startOnPool('crash')
      expect(await world.ask('crash', 'cat /tmp/file')).toMatch(/^[ab]$/)
      await world.launcher.delete('crash')
    }
    const { roots, saves } = await pool().list()
    for (const id of roots.keys()) {
      await world.startOnPool(id)
      expect(await world.ask(id, 'cat /tmp/file')).toMatch(/^[ab]$/)
      await end(id)
    }
    for (const save of saves.keys()) await pool().removeSave(save)
    expect(await inside(world, 'ls', join(world.dataDir, 'pool/sandboxes'))).toBe('')
  })

  test('leaves no trace of a hundred roots, saves and copies', async () => {
    const before = await world.traces()
    for (let i = 0; i < 100; i++) {
      await make(`a${i}`)
      await pool().save(`a${i}`, `sav_${i}`)
      await make(`b${i}`, `sav_${i}`)
      await end(`a${i}`, `b${i}`)
      await pool().removeSave(`sav_${i}`)
    }
    expect(await pool().list()).toMatchObject({ roots: new Map(), saves: new Map() })
    expect(await world.traces()).toEqual(before)
  })
})

test.skipIf(cannotRun)(
  'a pool outlives its launcher, and its device does not outlive the last user',
  async () => {
    const world = await World.make()
    await world.launcher.pool.open(GIB)
    await world.launcher.pool.makeRoot('kept', { from: null, diskBytes: null })
    await world.startOnPool('kept')
    await world.ask('kept', 'put /tmp/file kept')
    await world.launcher.delete('kept')
    await world.launcher.shutdown()
    await until(async () => (await world.loops()).length === 0)
    await world.startOnPool('kept')
    expect(await world.ask('kept', 'cat /tmp/file')).toBe('kept')
    await world[Symbol.asyncDispose]()
    await until(async () => (await world.loops()).length === 0)
  },
)

test.skipIf(cannotRun)(
  'on a data directory that is on btrfs the pool is part of that, with the quotas it has',
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'caisson-btrfs-'))
    await using undo = new AsyncDisposableStack()
    undo.defer(() => rm(dir, { recursive: true }))
    await writeFile(join(dir, 'image'), '')
    await truncate(join(dir, 'image'), 512 * MIB)
    await run('mkfs.btrfs', ['-q', join(dir, 'image')])
    await mkdir(join(dir, 'mount'))
    await run('mount', ['-o', 'loop', join(dir, 'image'), join(dir, 'mount')])
    undo.defer(async () => void (await run('umount', [join(dir, 'mount')])))
    await using world = await World.make({ parent: join(dir, 'mount') })
    const { pool } = world.launcher
    expect(await pool.open(8 * GIB)).toMatchObject({ kind: 'filesystem', maxBytes: 512 * MIB, quotas: false })
    await expect(pool.makeRoot('limited', { from: null, diskBytes: 8 * MIB })).rejects.toMatchObject({
      step: 'quota',
    })
    await expect(pool.makeVolume('vol_limited', 8 * MIB)).rejects.toMatchObject({ step: 'quota' })
    await pool.makeVolume('vol_a', null)
    await pool.makeRoot('first', { from: null, diskBytes: null })
    const volumes = [{ volume: 'vol_a', path: '/data', readOnly: false }]
    await world.launcher.start(
      world.plan({ id: 'first', root: { kind: 'pool', lowers: [world.lower] }, volumes }),
    )
    await world.ask('first', 'put /tmp/file text')
    expect(await world.ask('first', 'put /data/file text')).toBe('put ok\n')
    await expect(pool.removeVolume('vol_a')).rejects.toEqual(refused(constants.errno.EBUSY))
    await pool.save('first', 'sav_first')
    await world.launcher.delete('first')
    await pool.replaceRoot('first', 'sav_first', null)
    await world.startOnPool('first')
    expect(await world.ask('first', 'cat /tmp/file')).toBe('text')
    await world.launcher.delete('first')
    await pool.removeRoot('first')
    await pool.removeSave('sav_first')
    await pool.removeVolume('vol_a')
    expect(existsSync(join(world.dataDir, 'pool.img'))).toBe(false)
  },
)
