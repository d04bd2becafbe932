import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, World } from './fixture.ts'
import { endRoots, GIB, inside, MIB, makeRoot, refused } from './pool-world.ts'

const { EBUSY, EEXIST, ENOENT } = constants.errno
const run = promisify(execFile)

describe.skipIf(cannotRun)('the pool', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
    await world.launcher.pool.open(8 * GIB)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const pool = () => world.launcher.pool
  const make = (id: string, from?: string | null, diskBytes?: number) => makeRoot(world, id, from, diskBytes)
  const end = (...ids: string[]) => endRoots(world, ...ids)

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
    expect(await pool().list()).toEqual({
      ...{ roots: new Map(), saves: new Map() },
      ...{ volumes: new Map(), dumps: new Map() },
    })
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
})
