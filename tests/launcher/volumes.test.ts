import { constants } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cannotRun, World } from './fixture.ts'
import { endRoots, GIB, inside, killAll, MIB, makeRoot, refused } from './pool-world.ts'

const { EBUSY, EEXIST, EINVAL, ELOOP, ENOENT, ENOTDIR } = constants.errno

describe.skipIf(cannotRun)('volumes', () => {
  let world: World
  let before: Record<string, unknown>
  beforeAll(async () => {
    world = await World.make()
    await pool().open(8 * GIB)
  })
  afterAll(() => world[Symbol.asyncDispose]())
  beforeEach(async () => {
    before = await world.traces()
  })
  afterEach(async () => {
    for (const { id } of await world.launcher.list()) await endRoots(world, id)
    for (const id of (await pool().list()).roots.keys()) await pool().removeRoot(id)
    for (const volume of (await pool().list()).volumes.keys()) await pool().removeVolume(volume)
  })

  const pool = () => world.launcher.pool
  const ask = (id: string, command: string) => world.ask(id, command)

  /** Starts a sandbox with volumes at these paths; `:ro` at the end of one. */
  async function start(id: string, volumes: Record<string, string>): Promise<void> {
    await makeRoot(world, id)
    await startOn(id, volumes)
  }
  async function startOn(id: string, volumes: Record<string, string>): Promise<void> {
    const mounts = Object.entries(volumes).map(([path, volume]) => ({
      volume: volume.replace(':ro', ''),
      path,
      readOnly: volume.endsWith(':ro'),
    }))
    const root = { kind: 'pool' as const, lowers: [world.lower] }
    await world.launcher.start(world.plan({ id, root, volumes: mounts }))
  }

  test('are made once, listed and removed, as often as one likes', async () => {
    await pool().makeVolume('vol_a', null)
    await pool().makeVolume('vol_b', 32 * MIB)
    await expect(pool().makeVolume('vol_a', null)).rejects.toEqual(refused(EEXIST))
    expect([...(await pool().list()).volumes.keys()].sort()).toEqual(['vol_a', 'vol_b'])
    await pool().removeVolume('vol_a')
    await pool().removeVolume('vol_a')
    expect([...(await pool().list()).volumes.keys()]).toEqual(['vol_b'])
    expect((await pool().list()).roots).toEqual(new Map())
  })

  test('show what each of several sandboxes writes to all of them, with the same owners', async () => {
    await pool().makeVolume('vol_a', null)
    await start('one', { '/data': 'vol_a' })
    await start('two', { '/mnt/deep/er': 'vol_a' })
    expect(await ask('one', 'as 1000 put /data/file hello')).toBe('put ok\n')
    expect(await ask('two', 'cat /mnt/deep/er/file')).toBe('hello')
    expect(await ask('two', 'owner /mnt/deep/er/file')).toBe('owner ok\n1000\n')
    expect(await ask('two', 'chown /mnt/deep/er/file 7')).toBe('chown ok\n')
    expect(await ask('one', 'owner /data/file')).toBe('owner ok\n7\n')
    expect(await ask('two', 'put /mnt/deep/er/root x')).toBe('put ok\n')
    expect(await ask('one', 'owner /data/root')).toBe('owner ok\n0\n')
    const onDisk = join(world.dataDir, 'pool/volumes/vol_a')
    expect(await inside(world, 'stat', '-c', '%u %a', `${onDisk}/root`, onDisk)).toBe('0 644\n0 777\n')
  })

  test('are what they were for the next sandbox, and for the next start of one', async () => {
    await pool().makeVolume('vol_a', null)
    await start('one', { '/data': 'vol_a' })
    await ask('one', 'put /data/file kept')
    await world.launcher.delete('one')
    await startOn('one', { '/data': 'vol_a' })
    expect(await ask('one', 'cat /data/file')).toBe('kept')
    await start('two', { '/data': 'vol_a' })
    expect(await ask('two', 'cat /data/file')).toBe('kept')
  })

  test('that are read-only for a sandbox are so for root, and for that sandbox alone', async () => {
    await pool().makeVolume('vol_a', null)
    await start('reader', { '/data': 'vol_a:ro' })
    await start('writer', { '/data': 'vol_a' })
    await ask('writer', 'put /data/file text')
    expect(await ask('reader', 'cat /data/file')).toBe('text')
    expect(await ask('reader', 'put /data/file other')).toBe('put EROFS\n')
    expect(await ask('reader', 'unlink /data/file')).toBe('unlink EROFS\n')
  })

  test('belong to those that have them: others see nothing of them, and a save has nothing of them', async () => {
    await pool().makeVolume('vol_a', null)
    await pool().makeVolume('vol_b', null)
    await start('one', { '/data': 'vol_a' })
    await start('two', { '/data': 'vol_b' })
    await ask('one', 'put /data/file secret')
    expect(await ask('two', 'ls /data')).toBe('')
    await pool().save('one', 'sav_one')
    await makeRoot(world, 'copy', 'sav_one')
    await startOn('copy', {})
    expect(await ask('copy', 'ls /data')).toBe('')
    expect(await ask('copy', 'cat /proc/self/mountinfo')).not.toContain('vol_')
    await pool().removeSave('sav_one')
  })

  test('keep to their limits, whoever writes, and leave the rest of the pool alone', async () => {
    await pool().makeVolume('vol_small', 16 * MIB)
    await pool().makeVolume('vol_large', null)
    await start('one', { '/small': 'vol_small', '/large': 'vol_large' })
    await start('two', { '/small': 'vol_small' })
    expect(await ask('one', 'fill /small/big 32')).toBe('fill EDQUOT\n')
    expect(await ask('two', 'fill /small/more 1')).toBe('fill EDQUOT\n')
    expect(await ask('one', 'fill /large/big 32')).toBe('fill ok\n')
    expect(await ask('one', 'fill /tmp/big 32')).toBe('fill ok\n')
    const { volumes } = await pool().list()
    expect(volumes.get('vol_large')).toBeGreaterThanOrEqual(32 * MIB)
    expect(volumes.get('vol_small')).toBeLessThanOrEqual(16 * MIB)
    await world.launcher.delete('two')
    await startOn('two', { '/small': 'vol_small' })
    expect(await ask('two', 'unlink /small/big')).toBe('unlink ok\n')
    expect(await ask('two', 'fill /small/more 4')).toBe('fill ok\n')
  })

  test('have no subvolumes of a sandbox’s making, which no limit would hold', async () => {
    await pool().makeVolume('vol_a', 16 * MIB)
    await start('one', { '/data': 'vol_a' })
    const names = ['create', 'copy', 'read-only', 'destroy', 'received', 'high-bits']
    const refusals = names.map((name) => `${name} EPERM\n`)
    expect(await ask('one', 'subvolumes /data')).toBe(`open ok\n${refusals.join('')}clone ok\n`)
    expect((await ask('one', 'ls /data')).split('\n').sort()).toEqual(['', 'clone', 'file'])
  })

  test('give nobody the rights of another user, and no devices', async () => {
    await pool().makeVolume('vol_a', null)
    await start('one', { '/data': 'vol_a' })
    for (const path of ['/tmp/program', '/data/program'])
      expect(await ask('one', `copy-program ${path}`)).toBe('copy ok\n')
    expect(await ask('one', 'as 1000 execute /tmp/program')).toBe('0\n')
    expect(await ask('one', 'as 1000 execute /data/program')).toBe('1000\n')
    const disk = join(world.dataDir, 'pool/volumes/vol_a/null')
    await inside(world, 'mknod', '-m', '666', disk, 'c', '1', '3')
    expect(await ask('one', 'write /data/null')).toBe('write EACCES\n')
    expect(await ask('one', 'cat /proc/self/mountinfo')).toMatch(/ \/data rw,nosuid,nodev,noatime,idmapped /)
  })

  test('stay while a sandbox has them, whichever launcher started it', async () => {
    await pool().makeVolume('vol_a', null)
    await start('one', { '/data': 'vol_a' })
    await expect(pool().removeVolume('vol_a')).rejects.toEqual(refused(EBUSY))
    await world.killLauncher()
    await pool().open(8 * GIB)
    await expect(pool().removeVolume('vol_a')).rejects.toEqual(refused(EBUSY))
    await world.launcher.freeze('one')
    await expect(pool().removeVolume('vol_a')).rejects.toEqual(refused(EBUSY))
    await world.launcher.delete('one')
    await pool().removeVolume('vol_a')
    await expect(startOn('one', { '/data': 'vol_a' })).rejects.toEqual(refused(ENOENT))
    await startOn('one', {})
    expect(await ask('one', 'ls /data')).toBe('')
  })

  test('are there whole or gone for a sandbox that starts while they are removed', async () => {
    for (let i = 0; i < 10; i++) {
      await pool().makeVolume('vol_a', null)
      await makeRoot(world, 'racer')
      const removed = () => pool().removeVolume('vol_a')
      const started = () => startOn('racer', { '/data': 'vol_a' })
      const both = i % 2 ? [removed(), started()] : [started(), removed()]
      const [first, second] = await Promise.allSettled(both)
      expect([first?.status, second?.status].filter((status) => status === 'fulfilled')).toHaveLength(1)
      const runs = (await world.launcher.list()).some(({ id }) => id === 'racer')
      if (runs) expect(await ask('racer', 'put /data/file x')).toBe('put ok\n')
      await endRoots(world, 'racer')
      await pool().removeVolume('vol_a')
    }
  })

  test.each([
    ['/', '/data'],
    ['../../../../..', '/data/x'],
    ['/proc', '/data/self'],
    ['/dev', '/data'],
    ['/.caisson', '/data'],
    ['data', '/data'],
  ])('are not put where a link to %s leads, at %s', async (target, path) => {
    await pool().makeVolume('vol_a', null)
    await makeRoot(world, 'hostile')
    await startOn('hostile', {})
    expect(await ask('hostile', `symlink ${target} /data`)).toBe('symlink ok\n')
    await pool().save('hostile', 'sav_hostile')
    await world.launcher.delete('hostile')
    await expect(startOn('hostile', { [path]: 'vol_a' })).rejects.toEqual(refused(ELOOP))
    await makeRoot(world, 'copy', 'sav_hostile')
    await world.startOnPool('copy')
    await expect(
      makeRoot(world, 'layered').then(() =>
        world.launcher.start(
          world.plan({
            id: 'layered',
            root: { kind: 'pool', lowers: ['saves/sav_hostile', world.lower] },
            volumes: [{ volume: 'vol_a', path, readOnly: false }],
          }),
        ),
      ),
    ).rejects.toEqual(refused(ELOOP))
    await endRoots(world, 'hostile', 'copy', 'layered')
    await pool().removeSave('sav_hostile')
    expect(await world.traces()).toEqual(before)
  })

  test('are not put over a file', async () => {
    await pool().makeVolume('vol_a', null)
    await makeRoot(world, 'one')
    await expect(startOn('one', { '/etc/hosts': 'vol_a' })).rejects.toEqual(refused(ENOTDIR))
    await startOn('one', {})
    await ask('one', 'put /tmp/file x')
    await world.launcher.delete('one')
    await expect(startOn('one', { '/tmp/file': 'vol_a' })).rejects.toEqual(refused(ENOTDIR))
    await expect(startOn('one', { '/tmp/file/below': 'vol_a' })).rejects.toEqual(refused(ENOTDIR))
  })

  test.each([
    '/',
    'data',
    '',
    '/data/',
    '//data',
    '/data/../..',
    '/data/./x',
    '/proc',
    '/proc/self',
    '/sys',
    '/dev',
    '/dev/shm',
    '/.caisson',
    '/.caisson/agent',
    `/${'x'.repeat(256)}`,
    `/${'x/'.repeat(600)}x`,
  ])('are refused at %j', async (path) => {
    await expect(startOn('refused', { [path]: 'vol_a' })).rejects.toEqual(refused(EINVAL))
  })

  test('are refused beneath one another, with an id that is none, and together with a dump', async () => {
    for (const paths of [
      ['/a', '/a'],
      ['/a', '/a/b'],
      ['/a/b', '/a'],
    ]) {
      const volumes = paths.map((path) => ({ volume: 'vol_a', path, readOnly: false }))
      await expect(world.launcher.start(world.plan({ volumes }))).rejects.toEqual(refused(EINVAL))
    }
    for (const volume of ['', 'a/b', '..', 'A', 'new-vol'])
      await expect(startOn('refused', { '/data': volume })).rejects.toEqual(refused(EINVAL))
    const many = Array.from({ length: 33 }, (_, i) => [`/v${i}`, 'vol_a'])
    await expect(startOn('refused', Object.fromEntries(many))).rejects.toEqual(refused(EINVAL))
    const volumes = [{ volume: 'vol_a', path: '/data', readOnly: false }]
    await expect(world.launcher.start(world.plan({ volumes, dump: 'dmp_1' }))).rejects.toEqual(
      refused(EINVAL),
    )
  })

  test('leave nothing behind when their sandboxes end, or do not start', async () => {
    await pool().makeVolume('vol_a', null)
    await pool().makeVolume('vol_b', null)
    for (let i = 0; i < 10; i++) {
      await start(`s${i}`, { '/a': 'vol_a', '/b/c': 'vol_b:ro' })
      await makeRoot(world, `f${i}`)
      await expect(startOn(`f${i}`, { '/a': 'vol_a', '/b': 'vol_none' })).rejects.toEqual(refused(ENOENT))
    }
    for (let i = 0; i < 10; i++) await endRoots(world, `s${i}`, `f${i}`)
    expect(await world.traces()).toEqual(before)
    await pool().removeVolume('vol_a')
  })

  test('are whole, and no mount is left, whenever the launcher and its workers are killed', async () => {
    for (let i = 0; i < 12; i++) {
      await pool().makeVolume('vol_kept', null)
      await makeRoot(world, 'crash')
      const steps = Promise.allSettled([
        startOn('crash', { '/data': 'vol_kept' }),
        pool().makeVolume(`vol_${i}`, 16 * MIB),
      ])
      await sleep(i)
      await killAll(world)
      await steps
      await pool().open(8 * GIB)
      const names = await inside(world, 'ls', join(world.dataDir, 'pool/volumes'))
      expect(names.split('\n').filter((name) => name.includes('-'))).toEqual([])
      await world.launcher.delete('crash')
      await startOn(
        'crash',
        Object.fromEntries(
          names
            .trim()
            .split('\n')
            .map((name) => [`/${name}`, name]),
        ),
      )
      expect(await ask('crash', 'as 1000 put /vol_kept/file x')).toBe('put ok\n')
      if (names.includes(`vol_${i}`)) expect(await ask('crash', `fill /vol_${i}/x 32`)).toBe('fill EDQUOT\n')
      await endRoots(world, 'crash')
      await pool().removeVolume('vol_kept')
      await pool().removeVolume(`vol_${i}`)
    }
    expect(await inside(world, 'ls', join(world.dataDir, 'pool/volumes'))).toBe('')
    const { mounts } = await world.traces()
    expect(mounts).toBe(before.mounts)
  })
})
