import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import type { SandboxPlan } from '../core/plan.ts'
import type { Guest, GuestExecution } from '../guest/guest.ts'
import type { Driver, Ended, MemoryHand } from './driver.ts'

export const MEMORY_TESTS = [
  'what is frozen does nothing until it is thawed',
  'freezing and thawing can be repeated, and a thaw ignores what does not run',
  'a restarted server finds a sandbox frozen and thaws it',
  'stop ends a frozen sandbox and leaves nothing',
  'processes go on from a dump that ended them, and nobody is told of an end',
  'a dump without an end leaves the sandbox as it was',
  'a dump that is not there starts nothing',
] as const
export type MemoryTest = (typeof MEMORY_TESTS)[number]

/** Reasons for a driver that has no `memory`. */
export const NO_MEMORY = Object.fromEntries(
  MEMORY_TESTS.map((title) => [title, 'it cannot stop processes without ending them']),
) as Record<MemoryTest, string>

/** What the tests need of a bench. */
export interface MemoryBench {
  readonly driver: Driver
  start(): Promise<SandboxPlan>
  connect(id: string): Promise<Guest>
  run(guest: Guest, id: string, argv: string[]): Promise<GuestExecution>
  echo(guest: Guest, text: string): Promise<string>
  endOf(id: string): Promise<Ended>
  restart(): Promise<void>
  leftovers(id: string): Promise<string[]>
}

/** Ends the test as skipped. */
export type Skip = (reason: string) => never

type It = (title: MemoryTest, run: (bench: MemoryBench, skip: Skip) => Promise<void>) => void

/** Longer than the `sleep` that is frozen. */
const FROZEN_MS = 500

export function memoryTests(it: It): void {
  freezeTests((title, run) => it(title, (bench, skip) => run(bench, handOf(bench, skip))))
  dumpTests((title, run) =>
    it(title, (bench, skip) => {
      const hand = handOf(bench, skip)
      return hand.noDumps === null ? run(bench, hand) : skip(hand.noDumps)
    }),
  )
}

function handOf({ driver }: MemoryBench, skip: Skip): MemoryHand {
  return driver.memory ?? skip('it cannot freeze')
}

type ItWith = (title: MemoryTest, run: (bench: MemoryBench, hand: MemoryHand) => Promise<void>) => void

function freezeTests(it: ItWith): void {
  it('what is frozen does nothing until it is thawed', async (bench, hand) => {
    const { id } = await bench.start()
    const guest = await bench.connect(id)
    const sleeper = await bench.run(guest, 'sleeper', ['sleep', '0.2'])
    let isOver = false
    const over = sleeper.exited.then((exit) => {
      isOver = true
      return exit
    })
    await hand.freeze(id)
    await delay(FROZEN_MS)
    expect(isOver).toBe(false)
    expect(await bench.driver.list()).toEqual([{ id, running: true, frozen: true }])
    await hand.thaw(id)
    expect(await over).toMatchObject({ code: 0 })
    expect(await bench.driver.list()).toEqual([{ id, running: true, frozen: false }])
    expect(await bench.echo(guest, 'awake')).toBe('awake\n')
  })

  it('freezing and thawing can be repeated, and a thaw ignores what does not run', async (bench, hand) => {
    const { id } = await bench.start()
    await hand.thaw(id)
    for (let round = 0; round < 3; round++) {
      await Promise.all([hand.freeze(id), hand.freeze(id)])
      await Promise.all([hand.thaw(id), hand.thaw(id)])
    }
    expect(await bench.echo(await bench.connect(id), 'awake')).toBe('awake\n')
    await hand.thaw('sbx_that_never_was')
    await expect(hand.freeze('sbx_that_never_was')).rejects.toThrow()
  })

  it('a restarted server finds a sandbox frozen and thaws it', async (bench, hand) => {
    const { id } = await bench.start()
    await hand.freeze(id)
    await bench.restart()
    expect(await bench.driver.list()).toEqual([{ id, running: true, frozen: true }])
    await bench.driver.memory?.thaw(id)
    expect(await bench.echo(await bench.connect(id), 'awake')).toBe('awake\n')
  })

  it('stop ends a frozen sandbox and leaves nothing', async (bench, hand) => {
    const { id } = await bench.start()
    await bench.run(await bench.connect(id), 'long', ['sleep', '1000'])
    await hand.freeze(id)
    await bench.driver.stop(id)
    expect(await bench.driver.list()).toEqual([])
    expect(await bench.leftovers(id)).toEqual([])
  })
}

function dumpTests(it: ItWith): void {
  it('processes go on from a dump that ended them, and nobody is told of an end', async (bench, hand) => {
    const plan = await bench.start()
    const { id } = plan
    const told: string[] = []
    bench.driver.onEnded((ended) => told.push(ended.id))
    const nonce = await freezeRunning(bench, hand, id)
    await hand.dump(id, 'dmp_1', true)
    expect(await bench.driver.list()).toEqual([])
    expect(await hand.listDumps()).toEqual(['dmp_1'])
    await bench.driver.start({ ...plan, dump: 'dmp_1' })
    const guest = await bench.connect(id)
    expect([guest.nonce, guest.held]).toEqual([nonce, ['long']])
    expect(await bench.echo(guest, 'again')).toBe('again\n')
    expect(told).toEqual([])
    await hand.removeDump('dmp_1')
    await hand.removeDump('dmp_1')
    expect(await hand.listDumps()).toEqual([])
  })

  it('a dump without an end leaves the sandbox as it was', async (bench, hand) => {
    const { id } = await bench.start()
    const nonce = await freezeRunning(bench, hand, id)
    await hand.dump(id, 'dmp_2', false)
    expect(await bench.driver.list()).toEqual([{ id, running: true, frozen: true }])
    await expect(hand.dump(id, 'dmp_2', false)).rejects.toThrow()
    await hand.thaw(id)
    const guest = await bench.connect(id)
    expect([guest.nonce, guest.held]).toEqual([nonce, ['long']])
    await hand.removeDump('dmp_2')
  })

  it('a dump that is not there starts nothing', async (bench) => {
    const plan = await bench.start()
    await bench.driver.stop(plan.id)
    await expect(bench.driver.start({ ...plan, dump: 'dmp_never' })).rejects.toThrow()
    expect(await bench.driver.list()).toEqual([])
  })
}

/** Leaves a program running, nobody connected, and everything frozen. @returns what the agent is known by. */
async function freezeRunning(bench: MemoryBench, hand: MemoryHand, id: string): Promise<string> {
  const guest = await bench.connect(id)
  const { nonce } = guest
  await bench.run(guest, 'long', ['sleep', '1000'])
  guest.close()
  await guest.closed
  await hand.freeze(id)
  return nonce
}
