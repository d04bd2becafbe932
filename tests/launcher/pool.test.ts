import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chown,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { fields } from '@caisson/protocol/frame-codec'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LauncherConnection } from '../../packages/server/src/launcher/connection.ts'
import { Message, RootKind, Tag } from '../../packages/server/src/launcher/protocol.ts'
import { cannotRun, until, World } from './fixture.ts'

const { EBUSY, EEXIST, EINVAL, ELOOP, ENOENT, ENOTCONN, EPERM } = constants.errno
const MIB = 2 ** 20
const GIB = 2 ** 30
const run = promisify(execFile)
const refused = (errno: number) => expect.objectContaining({ name: 'LauncherError', errno })

/** Runs a program where the pool is mounted: in the launcher's mount namespace. */
async function inside(world: World, ...command: string[]): Promise<string> {
  const pid = await world.launcher.pid()
  const { stdout } = await run('nsenter', [`--mount=/proc/${pid}/ns/mnt`, '--', ...command])
  return stdout
}

/** Kills a launcher and what it has forked. */
async function killAll(pid: number): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const one of [pid, ...children.split(' ').filter(Boolean).map(Number)])
    try {
      process.kill(one, 'SIGKILL')
    } catch {
      // It has just ended.
    }
  await until(() => !existsSync(`/proc/${pid}`))
}

describe.skipIf(cannotRun)('the pool', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
    await world.launcher.pool.open(8 * GIB)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const pool = () => world.launcher.pool
  const make = (id: string, from: string | null = null, diskBytes: number | null = null) =>
    pool().makeRoot(id, { from, diskBytes })
  const end = async (...ids: string[]) => {
    for (const id of ids) {
      await world.launcher.delete(id)
      await pool().removeRoot(id)
    }
  }

  test('is a file of the data directory, and no mount of the host', async () => {
    const state = await pool().open(8 * GIB)
    expect(state).toMatchObject({ kind: 'file', maxBytes: 8 * GIB, quotas: true })
    expect(state.sizeBytes).toBeLessThanOrEqual(4 * GIB)
    const { size, mode, uid } = await stat(join(world.dataDir, 'pool.img'))
    expect({ size, mode: mode & 0o777, uid }).toEqual({ size: state.sizeBytes, mode: 0o600, uid: 0 })
    const { stdout } = await run('cat', ['/proc/self/mountinfo'])
    expect(stdout).not.toContain(world.dataDir)
    expect(await world.loops()).toHaveLength(1)
  })

  test('holds what a sandbox writes, in saves that later writing does not change', async () => {
    await make('live')
    await world.startOnPool('live')
    await world.ask('live', 'put /tmp/file first')
    await pool().save('live', 'sav_first')
    await world.ask('live', 'put /tmp/file second')
    await make('copy', 'sav_first')
    await world.startOnPool('copy')
    expect(await world.ask('copy', 'cat /tmp/file')).toBe('first')
    expect(await world.ask('live', 'cat /tmp/file')).toBe('second')
    expect(await pool().measure('sav_first')).toMatchObject({ files: expect.any(Number) })
    await end('live', 'copy')
    await pool().removeSave('sav_first')
    expect(await pool().list()).toEqual({ roots: new Map(), saves: new Map(), dumps: new Map() })
  })

  test('keeps whiteouts, renamed directories and hard links in a copy', async () => {
    await make('tree')
    await world.startOnPool('tree')
    for (const command of [
      'mkdir /tmp/a',
      'put /tmp/a/file text',
      'link /tmp/a/file /tmp/second',
      'rmdir /sys',
      'rename /.caisson /tmp/moved',
      'rename /tmp/a /tmp/b',
    ])
      await world.ask('tree', command)
    const seen = async (id: string) => [
      await world.ask(id, 'ls /tmp'),
      await world.ask(id, 'ls /tmp/b'),
      await world.ask(id, 'cat /tmp/second'),
    ]
    const before = await seen('tree')
    await pool().save('tree', 'sav_tree')
    await make('tree2', 'sav_tree')
    await world.startOnPool('tree2')
    expect(await seen('tree2')).toEqual(before)
    await world.ask('tree2', 'put /tmp/b/file changed')
    expect(await world.ask('tree2', 'cat /tmp/second')).toBe('changed')
    expect(await world.ask('tree', 'cat /tmp/second')).toBe('text')
    await end('tree', 'tree2')
    await pool().removeSave('sav_tree')
  })

  test('gives saves as layers beneath a root', async () => {
    await make('maker')
    await world.startOnPool('maker')
    await world.ask('maker', 'put /tmp/tool installed')
    await pool().save('maker', 'sav_layer')
    await end('maker')
    await make('user')
    await world.startOnPool('user', 'sav_layer')
    expect(await world.ask('user', 'cat /tmp/tool')).toBe('installed')
    expect(await world.ask('user', 'put /tmp/tool mine')).toBe('put ok\n')
    await end('user')
    await make('other')
    await world.startOnPool('other', 'sav_layer')
    expect(await world.ask('other', 'cat /tmp/tool')).toBe('installed')
    await end('other')
    await pool().removeSave('sav_layer')
  })

  test('keeps each sandbox to its limit, and its neighbours and itself able to go on', async () => {
    await make('full', null, 16 * MIB)
    await make('neighbour', null, 64 * MIB)
    await world.startOnPool('full')
    await world.startOnPool('neighbour')
    expect(await world.ask('full', 'fill /tmp/big 32')).toBe('fill EDQUOT\n')
    expect(await world.ask('neighbour', 'fill /tmp/big 32')).toBe('fill ok\n')
    expect(await world.ask('full', 'unlink /tmp/big')).toBe('unlink ok\n')
    expect(await world.ask('full', 'fill /tmp/small 4')).toBe('fill ok\n')
    const { roots } = await pool().list()
    expect(roots.get('neighbour')).toBeGreaterThanOrEqual(32 * MIB)
    expect(roots.get('full')).toBeLessThanOrEqual(16 * MIB)
    await pool().save('full', 'sav_full')
    await make('limited', 'sav_full', 8 * MIB)
    await world.startOnPool('limited')
    expect(await world.ask('limited', 'fill /tmp/more 16')).toBe('fill EDQUOT\n')
    await end('full', 'neighbour', 'limited')
    await pool().removeSave('sav_full')
  })

  test('puts a root back, in one step that may be repeated', async () => {
    await make('back')
    await world.startOnPool('back')
    await world.ask('back', 'put /tmp/file then')
    await pool().save('back', 'sav_then')
    await world.ask('back', 'put /tmp/file now')
    await expect(pool().replaceRoot('back', 'sav_then', null)).rejects.toEqual(refused(EBUSY))
    await world.launcher.delete('back')
    await pool().replaceRoot('back', 'sav_then', 8 * MIB)
    await pool().replaceRoot('back', 'sav_then', 8 * MIB)
    await world.startOnPool('back')
    expect(await world.ask('back', 'cat /tmp/file')).toBe('then')
    expect(await world.ask('back', 'fill /tmp/big 16')).toBe('fill EDQUOT\n')
    await world.launcher.delete('back')
    await expect(pool().replaceRoot('back', 'sav_none', null)).rejects.toEqual(refused(ENOENT))
    await world.startOnPool('back')
    expect(await world.ask('back', 'cat /tmp/file')).toBe('then')
    await end('back')
    await pool().removeSave('sav_then')
  })

  test('starts a sandbox that is full again, within the same limit', async () => {
    await make('brim', null, 16 * MIB)
    await world.startOnPool('brim')
    expect(await world.ask('brim', 'fill /tmp/big 32')).toBe('fill EDQUOT\n')
    await world.ask('brim', 'fill /tmp/rest 1')
    for (let i = 0; i < 3; i++) {
      await world.launcher.delete('brim')
      await world.startOnPool('brim')
      expect(await world.ask('brim', 'fill /tmp/more 1')).toBe('fill EDQUOT\n')
    }
    await world.launcher.delete('brim')
    await world.launcher.keepOnly('brim', 'tmp', true)
    await world.startOnPool('brim')
    expect(await world.ask('brim', 'fill /tmp/more 1')).toBe('fill EDQUOT\n')
    await end('brim')
  })

  test('never has a root mounted twice, nor removes one that is', async () => {
    await make('once')
    await world.startOnPool('once')
    await expect(world.startOnPool('once')).rejects.toEqual(refused(EEXIST))
    await expect(pool().removeRoot('once')).rejects.toEqual(refused(EBUSY))
    await expect(make('once')).rejects.toEqual(refused(EBUSY))
    await expect(world.launcher.keepOnly('once', 'tmp', false)).rejects.toEqual(refused(EBUSY))
    await world.launcher.delete('once')
    await expect(make('once')).rejects.toEqual(refused(EEXIST))
    await pool().removeRoot('once')
    await pool().removeRoot('once')
    await expect(world.startOnPool('once')).rejects.toEqual(refused(ENOENT))
  })

  test('does what concerns one root in the order in which it is asked', async () => {
    await make('order')
    await pool().save('order', 'sav_order')
    const steps: Promise<unknown>[] = []
    for (let i = 0; i < 5; i++) {
      steps.push(pool().replaceRoot('order', 'sav_order', null))
      steps.push(pool().removeRoot('order'))
      steps.push(make('order', 'sav_order'))
    }
    steps.push(world.startOnPool('order'))
    await Promise.all(steps)
    expect(await world.ask('order', 'put /tmp/x y')).toBe('put ok\n')
    await end('order')
    await pool().removeSave('sav_order')
  })

  test('starts a root without layers, of which it is the whole', async () => {
    await make('bare')
    const base = join(world.dataDir, 'pool/sandboxes/bare/upper')
    await inside(world, 'cp', '-a', `${join(world.dataDir, world.lower)}/.`, base)
    await world.launcher.start(world.plan({ id: 'bare', root: { kind: 'pool', lowers: [] } }))
    expect(await world.ask('bare', 'put /tmp/file whole')).toBe('put ok\n')
    await world.launcher.delete('bare')
    expect(await inside(world, 'cat', `${base}/tmp/file`)).toBe('whole')
    await pool().removeRoot('bare')
  })

  test('measures a save: links once, at any depth', async () => {
    await make('deep')
    await world.startOnPool('deep')
    await world.ask('deep', 'nest 3000')
    await world.ask('deep', 'fill /tmp/big 2')
    await world.ask('deep', 'link /tmp/big /tmp/again')
    await pool().save('deep', 'sav_deep')
    const { bytes, files } = await pool().measure('sav_deep')
    expect(bytes).toBeGreaterThanOrEqual(2 * MIB)
    expect(bytes).toBeLessThan(2 * MIB + 4096)
    expect(files).toBeGreaterThan(3000)
    await end('deep')
    await pool().removeSave('sav_deep')
    await expect(pool().measure('sav_deep')).rejects.toEqual(refused(ENOENT))
  })

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
      await killAll(await world.launcher.pid())
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

  test('wait for POOL', async () => {
    for (const [type, payload] of [
      [Message.MAKE_ROOT, id()],
      [Message.SAVE, id().string(Tag.SAVE, 's')],
      [Message.REPLACE_ROOT, id().string(Tag.FROM, 's')],
      [Message.REMOVE_FROM_POOL, id()],
      [Message.MEASURE, fields().string(Tag.SAVE, 's')],
    ] as const)
      await expect(request(type, payload.encode())).rejects.toEqual(refused(ENOTCONN))
    for (const root of [
      { kind: 'pool' as const, lowers: [] },
      { kind: 'overlay' as const, lowers: ['saves/s'] },
    ])
      await expect(world.launcher.start(world.plan({ root }))).rejects.toEqual(refused(ENOTCONN))
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
    await pool.makeRoot('first', { from: null, diskBytes: null })
    await world.startOnPool('first')
    await world.ask('first', 'put /tmp/file text')
    await pool.save('first', 'sav_first')
    await world.launcher.delete('first')
    await pool.replaceRoot('first', 'sav_first', null)
    await world.startOnPool('first')
    expect(await world.ask('first', 'cat /tmp/file')).toBe('text')
    await world.launcher.delete('first')
    await pool.removeRoot('first')
    await pool.removeSave('sav_first')
    expect(existsSync(join(world.dataDir, 'pool.img'))).toBe(false)
  },
)
