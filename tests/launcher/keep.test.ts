import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, World } from './fixture.ts'

const KEPT = 'home/agent/workspace'

describe.skipIf(cannotRun)('keeping one directory of a root', () => {
  let world: World
  let count = 0
  beforeAll(async () => {
    world = await World.make()
    await world.launcher.pool.open(2 ** 30)
    for (const [path, text] of [
      [KEPT, 'base'],
      ['srv/agent/workspace', 'srv'],
    ] as const) {
      const dir = join(world.dataDir, world.lower, path)
      await mkdir(dir, { recursive: true })
      await writeFile(join(dir, `from-${text}`), text)
      await writeFile(join(dir, `../beside-${text}`), text)
    }
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const keep = (id: string, opaque = false) => world.launcher.keepOnly(id, KEPT, opaque)
  /** A sandbox on the pool that has done this, has been reduced to its workspace twice, and runs again. */
  const reduced = async (commands: string[], opaque = false) => {
    const id = `kept_${count++}`
    await world.launcher.pool.makeRoot(id, { from: null, diskBytes: null })
    await world.startOnPool(id)
    for (const command of commands) expect(await world.ask(id, command)).toMatch(/ ok\n/)
    await world.launcher.delete(id)
    await keep(id, opaque)
    await keep(id, opaque)
    await world.startOnPool(id)
    const names = async (path: string) =>
      (await world.ask(id, `ls ${path}`)).split('\n').filter(Boolean).toSorted()
    return { id, names }
  }
  const end = async (id: string) => {
    await world.launcher.delete(id)
    await world.launcher.pool.removeRoot(id)
  }

  test('brings all else back from the image', async () => {
    const { id, names } = await reduced([
      `put /${KEPT}/.hidden hidden`,
      `mkdir /${KEPT}/deep`,
      `put /${KEPT}/deep/file text`,
      'put /home/agent/.profile text',
      'put /tmp/file text',
      'unlink /home/agent/beside-base',
      'unlink /srv/agent/beside-srv',
      'rename /srv/agent /srv/renamed',
    ])
    expect(await names(`/${KEPT}`)).toEqual(['deep', 'from-base'])
    expect(await world.ask(id, `cat /${KEPT}/.hidden`)).toBe('hidden')
    expect(await world.ask(id, `cat /${KEPT}/deep/file`)).toBe('text')
    expect(await names('/home/agent')).toEqual(['beside-base', 'workspace'])
    expect(await names('/tmp')).toEqual([])
    expect(await names('/srv')).toEqual(['agent'])
    await end(id)
  })

  test('keeps what was removed from it removed', async () => {
    const { id, names } = await reduced([`unlink /${KEPT}/from-base`, `put /${KEPT}/own text`])
    expect(await names(`/${KEPT}`)).toEqual(['own'])
    await end(id)
  })

  test('shows nothing from below where a directory on the way hid it', async () => {
    const { id, names } = await reduced([
      'rename /home /away',
      'mkdir /home',
      'mkdir /home/agent',
      `mkdir /${KEPT}`,
      `put /${KEPT}/own text`,
    ])
    expect(await names(`/${KEPT}`)).toEqual(['own'])
    expect(await names('/home/agent')).toEqual(['beside-base', 'workspace'])
    expect(await names('/')).not.toContain('away')
    await end(id)
  })

  test('still shows what a directory on the way showed from elsewhere', async () => {
    const { id, names } = await reduced(['rename /home /away', 'rename /srv /home', `put /${KEPT}/own text`])
    expect(await names(`/${KEPT}`)).toEqual(['from-srv', 'own'])
    expect(await names('/home/agent')).toEqual(['beside-base', 'workspace'])
    expect(await names('/srv/agent')).toEqual(['beside-srv', 'workspace'])
    await end(id)
  })

  test('still shows what the directory itself showed from elsewhere', async () => {
    const { id, names } = await reduced([
      `rename /${KEPT} /home/agent/old`,
      `rename /srv/agent/workspace /${KEPT}`,
      `put /${KEPT}/own text`,
    ])
    expect(await names(`/${KEPT}`)).toEqual(['from-srv', 'own'])
    await end(id)
  })

  test('shows nothing from below when asked to', async () => {
    const { id, names } = await reduced([`put /${KEPT}/own text`], true)
    expect(await names(`/${KEPT}`)).toEqual(['own'])
    await end(id)
  })

  test('leaves nothing where there is no such directory', async () => {
    const { id, names } = await reduced(['put /tmp/file text', 'put /home/agent/file text'])
    expect(await names('/tmp')).toEqual([])
    expect(await names('/home/agent')).toEqual(['beside-base', 'workspace'])
    await end(id)
  })

  const outside = () => join(world.dataDir, 'outside')
  /** A root beside the pool, whose files a test can plant. */
  const planted = async (plant: (upper: string) => Promise<void>) => {
    const id = `planted_${count++}`
    await rm(outside(), { recursive: true, force: true })
    await mkdir(join(outside(), 'agent/workspace'), { recursive: true })
    await writeFile(join(outside(), 'file'), 'text')
    await world.launcher.makeSandboxDirs(id)
    const upper = join(world.dataDir, 'sandboxes', id, 'upper')
    await plant(upper)
    await keep(id)
    expect((await readdir(outside(), { recursive: true })).toSorted()).toEqual([
      'agent',
      'agent/workspace',
      'file',
    ])
    return upper
  }

  test.each(['home', 'home/agent', KEPT])('follows no link at %s', async (at) => {
    const upper = await planted(async (dir) => {
      await mkdir(join(dir, at, '..'), { recursive: true })
      await symlink(at === KEPT ? outside() : join(outside(), 'agent', '..'), join(dir, at))
      await writeFile(join(dir, 'file'), '')
    })
    expect(await readdir(upper)).toEqual([])
  })

  test('takes no file for the directory', async () => {
    const upper = await planted(async (dir) => {
      await mkdir(join(dir, 'home/agent'), { recursive: true })
      await writeFile(join(dir, KEPT), 'text')
    })
    expect(await readdir(upper)).toEqual([])
  })

  test('removes links to elsewhere, and keeps those of the directory as they are', async () => {
    const upper = await planted(async (dir) => {
      await mkdir(join(dir, KEPT), { recursive: true })
      await symlink(outside(), join(dir, 'home/link'))
      await symlink(outside(), join(dir, KEPT, 'link'))
      await writeFile(join(dir, KEPT, 'file'), 'text')
      await chmod(join(dir, KEPT, 'file'), 0o4751)
    })
    expect(await readdir(join(upper, 'home'))).toEqual(['agent'])
    expect((await lstat(join(upper, KEPT, 'link'))).isSymbolicLink()).toBe(true)
    expect(await readFile(join(upper, KEPT, 'file'), 'utf8')).toBe('text')
    expect((await lstat(join(upper, KEPT, 'file'))).mode & 0o7777).toBe(0o4751)
  })
})
