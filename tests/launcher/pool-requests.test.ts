import { existsSync } from 'node:fs'
import { chown, link, rename, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fields } from '@caisson/protocol/frame-codec'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LauncherConnection } from '../../packages/server/src/launcher/connection.ts'
import { Message, RootKind, Tag } from '../../packages/server/src/launcher/protocol.ts'
import { cannotRun, until, World } from './fixture.ts'
import { GIB, MIB, refused } from './pool-world.ts'

const { EINVAL, ELOOP, ENOTCONN, EPERM } = constants.errno

describe.skipIf(cannotRun)('requests about the pool', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const request = async (type: number, payload?: Uint8Array) => {
    const connection = await LauncherConnection.open(world.program.socket, () => {})
    try {
      return await connection.request(type, payload)
    } finally {
      connection.close()
    }
  }
  const id = () => fields().string(Tag.ID, 'x')
  const volume = () => fields().string(Tag.VOLUME, 'v')

  test('wait for POOL', async () => {
    for (const [type, payload] of [
      [Message.MAKE_ROOT, id()],
      [Message.SAVE, id().string(Tag.SAVE, 's')],
      [Message.REPLACE_ROOT, id().string(Tag.FROM, 's')],
      [Message.REMOVE_FROM_POOL, id()],
      [Message.MEASURE, fields().string(Tag.SAVE, 's')],
      [Message.MAKE_VOLUME, fields().string(Tag.VOLUME, 'v')],
      [Message.REMOVE_FROM_POOL, fields().string(Tag.VOLUME, 'v')],
    ] as const)
      await expect(request(type, payload.encode())).rejects.toEqual(refused(ENOTCONN))
    for (const root of [
      { kind: 'pool' as const, lowers: [] },
      { kind: 'overlay' as const, lowers: ['saves/s'] },
    ])
      await expect(world.launcher.start(world.plan({ root }))).rejects.toEqual(refused(ENOTCONN))
    const volumes = [{ volume: 'v', path: '/data', readOnly: false }]
    await expect(world.launcher.start(world.plan({ volumes }))).rejects.toEqual(refused(ENOTCONN))
    expect((await request(Message.LIST_POOL)).items).toEqual([])
    expect(existsSync(join(world.dataDir, 'pool.img'))).toBe(false)
  })

  test.each<[string, number, ReturnType<typeof fields>]>([
    ['a pool without a size', Message.POOL, fields()],
    ['a pool that is too small', Message.POOL, fields().u64(Tag.MAX, 1 << 20)],
    ['a pool with a path', Message.POOL, fields().u64(Tag.MAX, GIB).string(Tag.PATH, 'x')],
    ['a root without an id', Message.MAKE_ROOT, fields()],
    ['a root from a path', Message.MAKE_ROOT, id().string(Tag.FROM, '../x')],
    ['a root with two ids', Message.MAKE_ROOT, id().string(Tag.ID, 'y')],
    ['a root with no room', Message.MAKE_ROOT, id().u64(Tag.QUOTA, 0)],
    ['a root with a save', Message.MAKE_ROOT, id().string(Tag.SAVE, 's')],
    ['a save without a name', Message.SAVE, id()],
    ['a save with a hyphen', Message.SAVE, id().string(Tag.SAVE, 'new-x')],
    ['to remove nothing', Message.REMOVE_FROM_POOL, fields()],
    ['to remove two things', Message.REMOVE_FROM_POOL, id().string(Tag.SAVE, 's')],
    ['to remove a volume and a save', Message.REMOVE_FROM_POOL, volume().string(Tag.SAVE, 's')],
    ['a volume without an id', Message.MAKE_VOLUME, fields()],
    ['a volume of a path', Message.MAKE_VOLUME, fields().string(Tag.VOLUME, '../v')],
    ['a volume with a hyphen', Message.MAKE_VOLUME, fields().string(Tag.VOLUME, 'new-v')],
    ['a volume with no room', Message.MAKE_VOLUME, volume().u64(Tag.QUOTA, 0)],
    ['a volume of a save', Message.MAKE_VOLUME, volume().string(Tag.FROM, 's')],
    ['a root that is a volume', Message.MAKE_ROOT, volume()],
    ['to put back to nothing', Message.REPLACE_ROOT, id()],
    ['to keep nothing', Message.KEEP_ONLY, id()],
    ['to keep an absolute path', Message.KEEP_ONLY, id().string(Tag.PATH, '/home')],
    ['to keep what is outside', Message.KEEP_ONLY, id().string(Tag.PATH, 'home/../..')],
    ['to measure a root', Message.MEASURE, id()],
    ['to freeze nothing', Message.FREEZE, fields()],
    ['to remove a dump by path', Message.REMOVE_DUMP, fields().string(Tag.DUMP, 'a/b')],
  ])('are refused: %s', async (_, type, payload) => {
    await expect(request(type, payload.encode())).rejects.toEqual(refused(EINVAL))
  })

  test.each(['saves', 'saves/', 'saves/a/b', 'saves/..', 'saves/new-x', 'saves/A'])(
    'are refused: a layer %j',
    async (lower) => {
      const payload = fields().string(Tag.ID, 'x').u64(Tag.ROOT_KIND, RootKind.POOL).string(Tag.LOWER, lower)
      await expect(request(Message.START, payload.encode())).rejects.toEqual(refused(EINVAL))
    },
  )

  test.each([
    '',
    'v',
    'v\trw',
    'v\tx\t/data',
    'v\t\t/data',
    '\trw\t/data',
    'v\trw\tdata',
    'A\trw\t/data',
    'v\trw\t/data\0x',
  ])('are refused: a volume at %j', async (mount) => {
    const plan = world.plan()
    const payload = fields()
      .string(Tag.ID, plan.id)
      .string(Tag.HOSTNAME, plan.hostname)
      .u64(Tag.ID_BASE, plan.idBase)
      .u64(Tag.ROOT_KIND, RootKind.POOL)
      .u64(Tag.MEMORY, plan.limits.memoryBytes)
      .u64(Tag.CPU, plan.limits.cpuMillis)
      .u64(Tag.PIDS, plan.limits.pids)
      .string(Tag.VOLUME_MOUNT, mount)
    await expect(request(Message.START, payload.encode())).rejects.toMatchObject({
      errno: EINVAL,
      message: expect.stringContaining('VOLUME_MOUNT'),
    })
  })

  test('take no file for a pool that others could have made', async () => {
    const image = join(world.dataDir, 'pool.img')
    const other = join(world.dataDir, 'other.img')
    const open = () => world.launcher.pool.open(GIB)
    await writeFile(other, '', { mode: 0o600 })
    await truncate(other, 300 * MIB)
    await symlink(other, image)
    await expect(open()).rejects.toEqual(refused(ELOOP))
    await unlink(image)
    await link(other, image)
    await expect(open()).rejects.toEqual(refused(EPERM))
    await unlink(image)
    await chown(other, 65_534, 65_534)
    await rename(other, image)
    await expect(open()).rejects.toEqual(refused(EPERM))
    await unlink(image)
    expect(await world.loops()).toEqual([])
  })

  test('make the file anew when making it was broken off', async () => {
    await writeFile(join(world.dataDir, 'pool.img.new'), 'half')
    expect(await world.launcher.pool.open(256 * MIB)).toMatchObject({ sizeBytes: 256 * MIB })
    expect(existsSync(join(world.dataDir, 'pool.img.new'))).toBe(false)
  })

  test('let the file grow before it is full', async () => {
    const { pool } = world.launcher
    await pool.open(512 * MIB)
    await until(async () => (await pool.open(512 * MIB)).sizeBytes === 512 * MIB)
    await pool.makeRoot('large', { from: null, diskBytes: null })
    await world.startOnPool('large')
    expect(await world.ask('large', 'fill /tmp/big 300')).toBe('fill ok\n')
    await world.launcher.delete('large')
    await pool.removeRoot('large')
  })
})
