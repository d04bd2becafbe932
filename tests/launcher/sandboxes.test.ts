import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, rmdir, stat, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LaunchedSandbox } from '../../packages/server/src/launcher/client.ts'
import { readUsage } from '../../packages/server/src/runtime/oci/usage.ts'
import { cannotRun, until, World } from './fixture.ts'

describe.skipIf(cannotRun)('sandboxes', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const found = async (id: string) => (await world.launcher.list()).find((sandbox) => sandbox.id === id)

  test('start, answer, and are gone after delete, however often', async () => {
    const before = await world.traces()
    const { id, hostname } = await world.start()
    expect(await found(id)).toMatchObject({ state: 'running', waitStatus: null })
    expect(await world.ask(id, 'cat /proc/sys/kernel/hostname')).toBe(`${hostname}\n`)
    await world.launcher.delete(id)
    await world.launcher.delete(id)
    expect(await found(id)).toBeUndefined()
    expect(await world.traces()).toEqual(before)
  })

  test('run on a plain directory as well', async () => {
    const plan = world.plan({ root: { kind: 'directory' } })
    await mkdir(join(world.dataDir, 'sandboxes', plan.id))
    await cp(join(world.dataDir, world.lower), join(world.dataDir, 'sandboxes', plan.id, 'rootfs'), {
      recursive: true,
    })
    await world.launcher.start(plan)
    expect(await world.ask(plan.id, 'cat /etc/hosts')).toContain(plan.hostname)
    await world.launcher.delete(plan.id)
  })

  test('start where somebody has tidied the empty cgroups away', async () => {
    const groups = await readdir('/sys/fs/cgroup', { recursive: false })
    const mounts = ['/sys/fs/cgroup', ...groups.map((name) => `/sys/fs/cgroup/${name}`)]
    const mine = mounts.map((path) => `${path}/caisson-${world.program.instance}`).filter(existsSync)
    expect(mine).not.toEqual([])
    for (const path of mine) await rmdir(path)
    const { id } = await world.start()
    expect(await world.ask(id, 'cat /etc/hosts')).not.toBe('')
    expect(mine.filter((path) => !existsSync(path))).toEqual([])
    await world.launcher.delete(id)
  })

  test('have an id of their own', async () => {
    const plan = await world.start()
    await expect(world.launcher.start(plan)).rejects.toMatchObject({ errno: constants.errno.EEXIST })
    expect(await found(plan.id)).toMatchObject({ state: 'running' })
    await world.launcher.delete(plan.id)
  })

  test('that end by themselves are announced with their status and listed until deleted', async () => {
    const { id } = await world.start()
    const ended = new Promise<LaunchedSandbox>((resolve) => {
      world.launcher.onEnded((sandbox) => sandbox.id === id && resolve(sandbox))
    })
    await world.ask(id, 'quit')
    expect(await ended).toMatchObject({ id, state: 'ended', waitStatus: 7 << 8 })
    expect(await found(id)).toMatchObject({ state: 'ended', waitStatus: 7 << 8 })
    await world.launcher.delete(id)
    expect(await found(id)).toBeUndefined()
  })

  test('whose start fails leave nothing behind', async () => {
    const before = await world.traces()
    const plan = world.plan({ root: { kind: 'overlay', lowers: [world.lower, 'images/none'] } })
    await world.launcher.makeSandboxDirs(plan.id)
    await expect(world.launcher.start(plan)).rejects.toMatchObject({
      step: 'layer',
      errno: constants.errno.ENOENT,
    })
    expect(await world.traces()).toEqual(before)
    expect(await world.launcher.list()).toEqual([])
  })

  test('whose runtime fails leave nothing behind', async () => {
    const before = await world.traces()
    const plan = world.plan()
    await world.launcher.makeSandboxDirs(plan.id)
    // Where /proc must be mounted stands a file.
    await writeFile(join(world.dataDir, 'sandboxes', plan.id, 'upper/proc'), '')
    await expect(world.launcher.start(plan)).rejects.toMatchObject({ step: 'runtime' })
    expect(await world.traces()).toEqual(before)
    expect(await world.launcher.list()).toEqual([])
  })

  test('whose start is aborted leave nothing behind', async () => {
    const before = await world.traces()
    const plan = world.plan()
    await world.launcher.makeSandboxDirs(plan.id)
    const abort = new AbortController()
    const start = world.launcher.start(plan, abort.signal)
    setImmediate(() => abort.abort(new Error('enough')))
    await expect(start).rejects.toThrow('enough')
    expect(await world.launcher.list()).toEqual([])
    expect(await world.traces()).toEqual(before)
  })

  test('survive a killed launcher, whose successor finds, watches and deletes them', async () => {
    const before = await world.traces()
    const [a, b] = [await world.start(), await world.start()]
    const first = await found(a.id)
    process.kill(await world.launcher.pid(), 'SIGKILL')
    await until(async () => (await found(a.id).catch(() => undefined)) !== undefined)
    expect(await found(a.id)).toEqual(first)
    expect(await world.ask(a.id, 'cat /proc/sys/kernel/hostname')).toBe(`${a.hostname}\n`)
    const ended = new Promise<LaunchedSandbox>((resolve) => {
      world.launcher.onEnded(resolve)
    })
    await world.ask(b.id, 'quit')
    expect(await ended).toMatchObject({ id: b.id, state: 'ended' })
    await world.launcher.delete(a.id)
    await world.launcher.delete(b.id)
    expect(await world.launcher.list()).toEqual([])
    expect(await world.traces()).toEqual(before)
  })

  test('that ended while no launcher ran are announced by the next one', async () => {
    const { id } = await world.start()
    const ended = new Promise<LaunchedSandbox>((resolve) => {
      world.launcher.onEnded((sandbox) => sandbox.id === id && resolve(sandbox))
    })
    const { pid } = (await found(id))!
    const launcher = await world.launcher.pid()
    process.kill(launcher, 'SIGSTOP')
    process.kill(pid!, 'SIGKILL')
    process.kill(launcher, 'SIGKILL')
    expect(await ended).toMatchObject({ id, state: 'ended', waitStatus: null })
    await world.launcher.delete(id)
  })

  test('start many at once, each once', async () => {
    const plans = Array.from({ length: 24 }, () => world.plan())
    await Promise.all(
      plans.map(async (plan) => {
        await world.launcher.makeSandboxDirs(plan.id)
        await world.launcher.start(plan)
      }),
    )
    const answers = await Promise.all(
      plans.map((plan) => world.ask(plan.id, 'cat /proc/sys/kernel/hostname')),
    )
    expect(answers).toEqual(plans.map((plan) => `${plan.hostname}\n`))
    await Promise.all(plans.map((plan) => world.launcher.delete(plan.id)))
  })

  test('leave nothing behind after a hundred lives', async () => {
    const before = await world.traces()
    for (let i = 0; i < 100; i++) {
      const { id } = await world.start()
      await world.launcher.delete(id)
      await world.launcher.removeTree(`sandboxes/${id}`)
    }
    expect(await world.traces()).toEqual(before)
  })

  test('keep their files from other users of the host', async () => {
    const { id } = await world.start()
    for (const [path, mode] of [
      ['sandboxes', 0o750],
      [`sandboxes/${id}`, 0o700],
      ['trash', 0o750],
    ] as const)
      expect((await stat(join(world.dataDir, path))).mode & 0o777, path).toBe(mode)
    await world.launcher.delete(id)
  })

  test('get what an image has not: a name for themselves', async () => {
    const { id, hostname } = await world.start()
    expect(await world.ask(id, 'cat /etc/hostname')).toBe(`${hostname}\n`)
    expect(await world.ask(id, 'cat /etc/resolv.conf')).toMatch(/^nameserver 198\.19\.255\.254\n/)
    expect(await world.ask(id, 'owner /etc/hosts')).toBe('owner ok\n0\n')
    await world.launcher.delete(id)
    const { uid } = await stat(join(world.dataDir, 'sandboxes', id, 'upper/etc/hosts'))
    expect(uid).toBe(0)
  })

  test('are machines of their own, and the same one at each start', async () => {
    const first = await world.start()
    const second = await world.start()
    const machine = await world.ask(first.id, 'cat /etc/machine-id')
    expect(machine).toMatch(/^[0-9a-f]{32}\n$/)
    expect(await world.ask(second.id, 'cat /etc/machine-id')).not.toBe(machine)
    await world.launcher.delete(first.id)
    await world.launcher.start(first)
    expect(await world.ask(first.id, 'cat /etc/machine-id')).toBe(machine)
    for (const { id } of [first, second]) await world.launcher.delete(id)
  })

  test('have their names written anew over whatever stands there', async () => {
    const plan = await world.start()
    for (const command of [
      'unlink /etc/machine-id',
      'mkdir /etc/machine-id',
      'put /etc/machine-id/file text',
      'unlink /etc/hostname',
      'symlink /tmp/target /etc/hostname',
      'put /tmp/target kept',
    ])
      expect(await world.ask(plan.id, command)).toMatch(/ ok\n/)
    await world.launcher.delete(plan.id)
    await world.launcher.start(plan)
    expect(await world.ask(plan.id, 'cat /etc/machine-id')).toMatch(/^[0-9a-f]{32}\n$/)
    expect(await world.ask(plan.id, 'cat /etc/hostname')).toBe(`${plan.hostname}\n`)
    expect(await world.ask(plan.id, 'cat /tmp/target')).toBe('kept')
    await world.launcher.delete(plan.id)
  })

  test('stay within their memory, and the kernel’s kills are counted', async () => {
    const { id } = await world.start()
    const hierarchies = await world.launcher.hierarchies()
    expect(await world.ask(id, 'memory 16')).toBe('')
    expect(await readUsage(hierarchies, id)).toMatchObject({ oomKills: 0 })
    expect(await world.ask(id, 'memory 256')).toBe('signal 9\n')
    const usage = await readUsage(hierarchies, id)
    expect(usage).toMatchObject({ oomKills: 1 })
    expect(usage!.memoryBytes).toBeLessThanOrEqual(64 * 2 ** 20)
    expect(usage!.pids).toBeGreaterThan(0)
    expect(usage!.cpuUsec).toBeGreaterThan(0)
    await world.launcher.delete(id)
    expect(await readUsage(hierarchies, id)).toBeNull()
  })

  test('stay within their number of processes', async () => {
    const { id } = await world.start()
    const forked = Number(await world.ask(id, 'forks'))
    expect(forked).toBeGreaterThan(32)
    expect(forked).toBeLessThan(64)
    await world.launcher.delete(id)
  })
})
