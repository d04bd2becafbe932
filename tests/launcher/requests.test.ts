import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fields } from '@caisson/protocol/frame-codec'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LauncherConnection } from '../../packages/server/src/launcher/connection.ts'
import { LAUNCHER_LIMITS, Message, Tag } from '../../packages/server/src/launcher/protocol.ts'
import { launcherCommand } from '../../packages/server/src/launcher/start.ts'
import { cannotRun, until, World } from './fixture.ts'

const { EINVAL, EEXIST, ELOOP, ENOSYS, ENOENT, EBUSY } = constants.errno

describe.skipIf(cannotRun)('what the launcher refuses', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const refused = (errno: number) => expect.objectContaining({ name: 'LauncherError', errno })
  const request = async (type: number, payload: Uint8Array) => {
    const connection = await LauncherConnection.open(world.program.socket, () => {})
    try {
      return await connection.request(type, payload)
    } finally {
      connection.close()
    }
  }

  test.each(['', '..', '../x', 'a/b', 'A', 'a b', 'a\0b', 'a\n', 'ä', 'x'.repeat(65)])(
    'an id that is not one: %j',
    async (id) => {
      const payload = fields().string(Tag.ID, id).encode()
      for (const type of [Message.START, Message.DELETE, Message.MAKE_DIRS])
        await expect(request(type, payload)).rejects.toEqual(refused(EINVAL))
    },
  )

  test.each([
    '',
    '/',
    '/etc',
    'images',
    'images/test',
    'sandboxes',
    'run/x',
    'caisson.db',
    '../x',
    'sandboxes/..',
    'sandboxes/../run/x',
    'sandboxes/x/../../run',
    'sandboxes//x',
    'sandboxes/./x',
    'sandboxes/x/',
    'trash/../run',
    'sandboxesx/y',
    'sandboxes/a\0b',
    `sandboxes/${'x'.repeat(256)}`,
    `sandboxes/${'x/'.repeat(600)}x`,
  ])('a tree that is neither a sandbox nor trash: %j', async (path) => {
    await expect(world.launcher.removeTree(path)).rejects.toEqual(refused(EINVAL))
  })

  test.each(['images', '/images/test/1/rootfs', 'sandboxes/x', 'run', 'images/../run', 'images//x', ''])(
    'a layer that is not below images: %j',
    async (lower) => {
      const plan = world.plan({ root: { kind: 'overlay', lowers: [lower] } })
      await expect(world.launcher.start(plan)).rejects.toEqual(refused(EINVAL))
    },
  )

  test.each<[string, Parameters<World['plan']>[0]]>([
    ['ids of the host', { idBase: 0 }],
    ['ids of users of the host', { idBase: 1000 }],
    ['ids past the last one', { idBase: 2 ** 32 - 65_536 }],
    ['a hostname with a newline', { hostname: 'a\nb' }],
    ['a hostname with a quote', { hostname: 'a"b' }],
    ['an empty hostname', { hostname: '' }],
    ['no layers', { root: { kind: 'overlay', lowers: [] } }],
    ['too many layers', { root: { kind: 'overlay', lowers: Array(33).fill('images/test/1/rootfs') } }],
    ['too little memory', { limits: { memoryBytes: 4096, cpuMillis: 1000, pids: 64 } }],
    ['no processes', { limits: { memoryBytes: 2 ** 26, cpuMillis: 1000, pids: 0 } }],
    ['no CPU', { limits: { memoryBytes: 2 ** 26, cpuMillis: 0, pids: 64 } }],
  ])('a plan with %s', async (_, overrides) => {
    await expect(world.launcher.start(world.plan(overrides))).rejects.toEqual(refused(EINVAL))
  })

  test('a plan with a field that it does not know', async () => {
    const payload = fields().string(Tag.ID, 'x').string(Tag.PATH, '/etc').encode()
    await expect(request(Message.START, payload)).rejects.toEqual(refused(EINVAL))
  })

  test('a message that it does not know', async () => {
    await expect(request(200, new Uint8Array())).rejects.toEqual(refused(ENOSYS))
  })

  test('a field that reaches past its message', async () => {
    const payload = new Uint8Array([Tag.ID, 255, 0, 0, 0, 97])
    await expect(request(Message.DELETE, payload)).rejects.toEqual(refused(EINVAL))
  })

  test('bytes that are not a frame, by closing that connection only', async () => {
    const socket = connect(world.program.socket)
    socket.resume()
    socket.write(Buffer.alloc(64, 0xff))
    await once(socket, 'close')
    await expect(world.launcher.list()).resolves.toBeInstanceOf(Array)
  })

  test('a frame that is never finished costs other clients nothing', async () => {
    const socket = connect(world.program.socket)
    await once(socket, 'data')
    socket.write(Buffer.from([255, 255, 3, 0, 1, 0, 0, 0, Message.LIST, 0, 0, 0, 1, 2, 3]))
    await expect(world.launcher.list()).resolves.toBeInstanceOf(Array)
    socket.destroy()
  })

  test('more connections than its limit', async () => {
    const path = world.program.socket
    const open = async () => await LauncherConnection.open(path, () => {}).catch(() => null)
    const connections = await Promise.all(Array.from({ length: LAUNCHER_LIMITS.MAX_CONNECTIONS + 4 }, open))
    expect(connections.filter((c) => c === null).length).toBeGreaterThanOrEqual(4)
    await expect(world.launcher.list()).resolves.toBeInstanceOf(Array)
    for (const connection of connections) connection?.close()
    await until(async () => (await open())?.close() !== null)
  })

  test('a user who is neither root nor the server', async () => {
    // The socket's mode keeps others out already; opened to all, the kernel's word on who connects must do.
    await chmod(world.dataDir, 0o755)
    await chmod(join(world.dataDir, 'run'), 0o755)
    await chmod(world.program.socket, 0o666)
    expect(await connectAs(65_534, world.program.socket)).toBe('refused')
    await chmod(world.program.socket, 0o600)
    await chmod(join(world.dataDir, 'run'), 0o700)
    await chmod(world.dataDir, 0o700)
  })

  test('a second launcher on the same data directory', async () => {
    const [file = '', ...args] = launcherCommand(world.program)
    const child = spawn(file, args, { stdio: 'ignore' })
    expect((await once(child, 'exit'))[0]).toBe(75)
    await expect(world.launcher.list()).resolves.toBeInstanceOf(Array)
  })

  test('directories that exist', async () => {
    await world.launcher.makeSandboxDirs('twice')
    await expect(world.launcher.makeSandboxDirs('twice')).rejects.toEqual(refused(EEXIST))
    await world.launcher.removeTree('sandboxes/twice')
  })

  test('a layer behind a planted link', async () => {
    await symlink('/', join(world.dataDir, 'images/link'))
    for (const lower of ['images/link', 'images/link/etc']) {
      const plan = world.plan({ root: { kind: 'overlay', lowers: [lower] } })
      await world.launcher.makeSandboxDirs(plan.id)
      await expect(world.launcher.start(plan)).rejects.toEqual(refused(ELOOP))
    }
  })

  test('a sandbox directory that is a link', async () => {
    const outside = join(world.dataDir, 'outside')
    await mkdir(join(outside, 'upper'), { recursive: true })
    await mkdir(join(outside, 'work'))
    await mkdir(join(outside, 'rootfs'))
    const overlay = world.plan()
    const directory = world.plan({ root: { kind: 'directory' } })
    for (const plan of [overlay, directory]) {
      await symlink(outside, join(world.dataDir, 'sandboxes', plan.id))
      await expect(world.launcher.start(plan)).rejects.toEqual(refused(ELOOP))
    }
    expect((await readdir(outside)).toSorted()).toEqual(['rootfs', 'upper', 'work'])
  })

  test('a layer that is missing', async () => {
    const plan = world.plan({ root: { kind: 'overlay', lowers: ['images/none'] } })
    await world.launcher.makeSandboxDirs(plan.id)
    await expect(world.launcher.start(plan)).rejects.toEqual(refused(ENOENT))
  })

  test('to remove the tree of a sandbox that runs', async () => {
    const { id } = await world.start()
    for (const path of [`sandboxes/${id}`, `sandboxes/${id}/upper`])
      await expect(world.launcher.removeTree(path)).rejects.toEqual(refused(EBUSY))
    await world.launcher.delete(id)
    await world.launcher.removeTree(`sandboxes/${id}`)
  })
})

/** Connects as another user; what waits for the launcher's greeting or the end. */
async function connectAs(uid: number, path: string): Promise<'greeted' | 'refused'> {
  const code = `require('node:net').connect(process.argv[1])
    .on('data', () => process.exit(10)).on('close', () => process.exit(11)).on('error', () => process.exit(12))`
  const child = spawn(process.execPath, ['-e', code, path], { uid, gid: uid, env: {}, cwd: '/' })
  const [status] = await once(child, 'exit')
  if (status !== 10 && status !== 11) throw new Error(`node exited with ${status}`)
  return status === 10 ? 'greeted' : 'refused'
}

test.skipIf(cannotRun)('a server that is not root may use the launcher and owns the sockets', async () => {
  await using world = await World.make({ allowUid: 65_534 })
  const { id } = await world.start()
  expect(await connectAs(65_534, world.program.socket)).toBe('greeted')
  for (const name of ['launcher.sock', `${id}.sock`]) {
    const { uid, mode } = await stat(join(world.dataDir, 'run', name))
    expect({ uid, mode: mode & 0o777 }).toEqual({ uid: 65_534, mode: 0o600 })
  }
})

describe.skipIf(cannotRun)('removing trees', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const left = async () => await readdir(join(world.dataDir, 'trash'))

  test('follows no symbolic link', async () => {
    const outside = join(world.dataDir, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'file'), 'kept')
    await world.launcher.makeSandboxDirs('links')
    await symlink(outside, join(world.dataDir, 'sandboxes/links/upper/directory'))
    await symlink(join(outside, 'file'), join(world.dataDir, 'sandboxes/links/upper/file'))
    await symlink(outside, join(world.dataDir, 'sandboxes/link'))
    await world.launcher.removeTree('sandboxes/links')
    await world.launcher.removeTree('sandboxes/link')
    await until(async () => (await left()).length === 0)
    expect(await readFile(join(outside, 'file'), 'utf8')).toBe('kept')
    expect(await readdir(join(world.dataDir, 'sandboxes'))).toEqual([])
  })

  test('refuses to go through a symbolic link', async () => {
    await symlink('/', join(world.dataDir, 'sandboxes/root'))
    const through = world.launcher.removeTree('sandboxes/root/no-such-directory')
    await expect(through).rejects.toMatchObject({ errno: ELOOP })
    await world.launcher.removeTree('sandboxes/root')
  })

  test('handles 5000 nested directories', async () => {
    const { id } = await world.start()
    expect(await world.ask(id, 'nest 5000')).toBe('nest ok\n')
    await world.launcher.delete(id)
    await world.launcher.removeTree(`sandboxes/${id}`)
    await until(async () => (await left()).length === 0)
  })

  test('has nothing to do for what is absent', async () => {
    await world.launcher.removeTree('sandboxes/absent')
    await world.launcher.removeTree('sandboxes/absent/deeper')
    await world.launcher.removeTree('trash/absent')
  })

  test('empties the trash that a killed launcher left', async () => {
    await mkdir(join(world.dataDir, 'trash/old/directory'), { recursive: true })
    await writeFile(join(world.dataDir, 'trash/file'), '')
    await world.launcher.removeTree('trash')
    expect(await left()).toEqual([])
  })
})
