import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readUsage } from '../../packages/server/src/runtime/oci/usage.ts'
import { cannotRun, until, World } from './fixture.ts'

const { ESRCH } = constants.errno

describe.skipIf(cannotRun)('the freezer', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

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
