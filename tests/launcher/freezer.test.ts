import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readUsage } from '../../packages/server/src/runtime/oci/usage.ts'
import { cannotRun, until, World } from './fixture.ts'

const { ESRCH } = constants.errno

/** The v2 mounts of this host beside v1 controllers: without them it is a host of v1 alone. */
const v2 = (await readFile('/proc/self/mountinfo', 'utf8'))
  .split('\n')
  .filter((line) => line.includes(' - cgroup2 '))
  .map((line) => line.split(' ')[4] ?? '')
const hasV1 = existsSync('/sys/fs/cgroup/freezer')

describe.skipIf(cannotRun).each([
  ['as this host has it', false],
  // Skipped where there are no v1 controllers, as on most hosts of today.
  ...(hasV1 ? [['of version 1', true] as const] : []),
] as const)('the freezer, %s', (_, withoutV2) => {
  let world: World
  beforeAll(async () => {
    world = await World.make({ hidden: withoutV2 ? v2 : [] })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test('is the one that the host has', async () => {
    const freezer = (await world.launcher.check()).find(({ name }) => name === 'freezer')
    expect(freezer).toMatchObject({
      ok: true,
      detail: expect.stringMatching(withoutV2 ? /^v1, / : /^v[12], /),
    })
  })

  const found = async (id: string) => (await world.launcher.list()).find((sandbox) => sandbox.id === id)
  const cpu = async (id: string) => (await readUsage(await world.launcher.hierarchies(), id))!.cpuUsec

  test('stops a busy sandbox where it is, and lets it go on', async () => {
    const { id } = await world.start()
    await world.ask(id, 'spin')
    await until(async () => (await cpu(id)) > 20_000)
    expect(await found(id)).toMatchObject({ state: 'running', frozen: false })
    await world.launcher.freeze(id)
    await world.launcher.freeze(id)
    const before = await cpu(id)
    await sleep(100)
    expect(await cpu(id)).toBe(before)
    expect(await found(id)).toMatchObject({ state: 'running', frozen: true })
    await world.launcher.thaw(id)
    await world.launcher.thaw(id)
    expect(await found(id)).toMatchObject({ state: 'running', frozen: false })
    await until(async () => (await cpu(id)) > before + 20_000)
    await world.launcher.delete(id)
  })

  test('answers when the sandbox stands still, with as many processes as it may have', async () => {
    const { id } = await world.start()
    for (let i = 0; i < 20; i++) await world.ask(id, 'spin')
    for (let i = 0; i < 20; i++) {
      await world.launcher.freeze(id)
      expect(await found(id)).toMatchObject({ frozen: true })
      await world.launcher.thaw(id)
    }
    await world.launcher.delete(id)
  })

  test('does in order what is asked at once', async () => {
    const { id, hostname } = await world.start()
    const asked: Promise<void>[] = []
    for (let i = 0; i < 20; i++) asked.push(world.launcher.freeze(id), world.launcher.thaw(id))
    await Promise.all(asked)
    expect(await world.ask(id, 'cat /etc/hostname')).toBe(`${hostname}\n`)
    await world.launcher.delete(id)
  })

  test('holds a sandbox whose launcher is killed, and the next one knows', async () => {
    const { id } = await world.start()
    await world.launcher.freeze(id)
    await world.killLauncher()
    expect(await found(id)).toMatchObject({ state: 'running', frozen: true })
    await world.launcher.thaw(id)
    expect(await world.ask(id, 'cat /etc/hostname')).not.toBe('')
    await world.launcher.delete(id)
  })

  test('lets a frozen sandbox be deleted', async () => {
    const before = await world.traces()
    const { id } = await world.start()
    await world.ask(id, 'spin')
    await world.launcher.freeze(id)
    await world.launcher.delete(id)
    expect(await found(id)).toBeUndefined()
    expect(await world.traces()).toEqual(before)
  })

  test('has nothing to stop in what does not run, and nothing to do for letting it go on', async () => {
    await expect(world.launcher.freeze('absent')).rejects.toMatchObject({ errno: ESRCH })
    await world.launcher.thaw('absent')
    const { id } = await world.start()
    await world.ask(id, 'quit')
    await until(async () => (await found(id))?.state === 'ended')
    await expect(world.launcher.freeze(id)).rejects.toMatchObject({ errno: ESRCH })
    await world.launcher.thaw(id)
    await world.launcher.delete(id)
  })
})
