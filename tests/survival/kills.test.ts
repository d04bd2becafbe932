import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, Sandbox, SandboxError } from 'caisson'
import { describe, expect, test } from 'vitest'
import { isAlive, launcherPid, until } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, startSaving, text } from '../saved/world.ts'
import { numbers, type Random } from './random.ts'
import { loopsOf, nothingIsOrphaned } from './world.ts'

const OPERATIONS = 200
const KILLS = 12
/** Each works on sandboxes of its own, one operation after the other, so that it knows what their files must say. */
const WORKERS = 4
const MOST_SANDBOXES = 4
/** One operation is repeated for so long, in ms, until it is answered. */
const PATIENCE_MS = 60_000

/** A sandbox, and what its file may say: more than one thing when an answer was cut off. */
interface Known {
  box: Sandbox
  values: Set<string>
  checkpoints: Map<string, Set<string>>
}

/** Does random things, and knows of all that was acknowledged. */
class Worker {
  readonly client: Client
  readonly random: Random
  readonly name: string
  readonly boxes: Known[] = []
  readonly snapshots = new Map<string, Set<string>>()
  readonly #memory: boolean
  #counter = 0

  /** @param memory copies may be made with their processes */
  constructor(client: Client, random: Random, name: string, memory: boolean) {
    this.client = client
    this.random = random
    this.name = name
    this.#memory = memory
  }

  async step(): Promise<void> {
    const { random, boxes } = this
    if (boxes.length === 0) return this.create({})
    const known = boxes[random(boxes.length)]!
    const full = boxes.length >= MOST_SANDBOXES
    const works = [
      () => this.write(known),
      () => this.write(known),
      () => this.checkpoint(known),
      () => this.restore(known),
      () => this.pause(known, 'memory'),
      () => this.pause(known, 'filesystem'),
      () => this.attempt(() => known.box.resume()),
      () => this.snapshot(known),
      () => this.unsnapshot(),
      () => (full ? this.remove(known) : this.create({})),
      () => (full ? this.remove(known) : this.fork(known)),
      () => (full ? this.remove(known) : this.fromSnapshot()),
    ]
    await works[random(works.length)]!()
  }

  /** What it makes is called so; no two are called the same. */
  #next(): string {
    this.#counter += 1
    return `${this.name}-${this.#counter}`
  }

  /** One try; who dies on the way does not matter. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    return work().then(
      () => true,
      (error) => {
        if (error instanceof SandboxError) return false
        throw error
      },
    )
  }

  /** Tries until it is answered: what carries a key is done once, however often it is asked for. */
  async surely<T>(what: string, work: () => Promise<T>): Promise<T> {
    let last: unknown
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(50))
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error
        last = error
      }
    throw new Error(`${what} is never answered`, { cause: last })
  }

  async create(from: { snapshot?: string }, values?: Set<string>): Promise<void> {
    const idempotencyKey = this.#next()
    const { id } = await this.surely('a creation', () =>
      this.client.call('createSandbox', { idleTimeout: 0, ...from }, { idempotencyKey }),
    )
    await this.#know(id, values ?? new Set(['']))
  }

  async #know(id: string, values: Set<string>): Promise<void> {
    const box = await this.surely('a look', () => Sandbox.connect(id, { client: this.client }))
    const known: Known = { box, values: new Set(values), checkpoints: new Map() }
    this.boxes.push(known)
    await this.verify(known)
  }

  async write({ box, values }: Known): Promise<void> {
    const value = this.#next()
    values.add(value)
    const argv = ['sh', '-c', `echo ${value} > ~/new && mv ~/new ~/value`]
    const ran = await this.surely('a command', async () => {
      const { id } = await this.client.call('startExecution', { id: box.id, argv }, { idempotencyKey: value })
      return (await box.attach(id)).wait()
    })
    expect(ran).toMatchObject({ ending: 'exited', exitCode: 0 })
    values.clear()
    values.add(value)
  }

  /** Afterwards it is known what its file says. */
  async verify({ box, values }: Known): Promise<void> {
    const value = await this.surely(`the file of ${box.id}`, () => text(box, 'cat ~/value 2>/dev/null; true'))
    expect([...values], `in ${box.id}`).toContain(value)
    values.clear()
    values.add(value)
  }

  async checkpoint(known: Known): Promise<void> {
    const { box, values, checkpoints } = known
    await this.verify(known)
    const name = this.#next()
    await this.surely('a checkpoint', async () => {
      if ((await box.checkpoints.list({ limit: 100 })).some((each) => each.name === name)) return
      await box.checkpoints.create(name)
    })
    checkpoints.set(name, new Set(values))
  }

  async restore(known: Known): Promise<void> {
    const [name, before] = this.#any(known.checkpoints)
    if (name === undefined) return
    const done = await this.attempt(() => known.box.checkpoints.restore(name))
    if (done) known.values.clear()
    for (const value of before) known.values.add(value)
    await this.verify(known)
  }

  #any(map: Map<string, Set<string>>): [string, Set<string>] | [undefined, Set<string>] {
    const all = [...map]
    return all[this.random(Math.max(1, all.length))] ?? [undefined, new Set()]
  }

  async pause({ box }: Known, depth: 'memory' | 'filesystem'): Promise<void> {
    await this.attempt(() => box.pause({ depth }))
  }

  async fork(known: Known): Promise<void> {
    await this.verify(known)
    const idempotencyKey = this.#next()
    const memory = this.#memory && this.random(2) === 0
    const { sandboxes } = await this.surely('a fork', () =>
      this.client.call('forkSandbox', { id: known.box.id, count: 2, memory }, { idempotencyKey }),
    )
    for (const { id } of sandboxes) await this.#know(id, known.values)
  }

  async snapshot(known: Known): Promise<void> {
    await this.verify(known)
    const name = this.#next()
    await this.surely('a snapshot', async () => {
      if ((await this.client.call('listSnapshots', { name })).total > 0) return
      await this.client.call('createSnapshot', { id: known.box.id, name })
    })
    this.snapshots.set(name, new Set(known.values))
  }

  async unsnapshot(): Promise<void> {
    if (this.snapshots.size < 3) return
    const [name] = this.#any(this.snapshots)
    if (name === undefined) return
    await this.surely('the end of a snapshot', async () => {
      if ((await this.client.call('listSnapshots', { name })).total > 0)
        await this.client.call('deleteSnapshot', { snapshot: name })
    })
    this.snapshots.delete(name)
  }

  async fromSnapshot(): Promise<void> {
    const [name, values] = this.#any(this.snapshots)
    await (name === undefined ? this.create({}) : this.create({ snapshot: name }, values))
  }

  async remove(known: Known): Promise<void> {
    await this.surely('a deletion', () => known.box.delete())
    this.boxes.splice(this.boxes.indexOf(known), 1)
  }

  /** Everything that was acknowledged is there. */
  async verifyAll(): Promise<void> {
    for (const known of this.boxes) {
      await this.verify(known)
      const { events } = await this.client.call('listEvents', { id: known.box.id, type: 'memory:lost' })
      expect(events).toEqual([])
      const listed = (await known.box.checkpoints.list({ limit: 100 })).map(({ name }) => name)
      expect(listed.sort()).toEqual([...known.checkpoints.keys()].sort())
      for (const [name, values] of known.checkpoints) {
        await known.box.checkpoints.restore(name)
        await this.verify({ ...known, values: new Set(values) })
      }
    }
    for (const [snapshot, values] of this.snapshots) {
      await using box = await Sandbox.create({ client: this.client, snapshot })
      await this.verify({ box, values: new Set(values), checkpoints: new Map() })
    }
  }
}

/** Kills at random instants so many times; afterwards there is a server. */
async function killing(server: TestServer, random: Random, launcher: boolean): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(random(800))
    if (launcher && random(2) === 0) killLauncher(server)
    else {
      await server.kill9()
      if (launcher && random(2) === 0) killLauncher(server)
      await server.up()
    }
    expect(loopsOf(server).length).toBeLessThan(2)
  }
}

/** It may have been killed just now. */
function killLauncher(server: TestServer): void {
  try {
    process.kill(launcherPid(server), 'SIGKILL')
  } catch {
    // The next request starts another.
  }
}

describe.skipIf(cannotSave !== null)(`${OPERATIONS} and more mixed operations`, () => {
  test.for([
    ['the server', false],
    ['the server, or its launcher,', true],
  ] as const)(
    'lose nothing that was acknowledged, and leave nothing, while %s is killed at random instants',
    { timeout: 400_000 },
    async ([, launcher]) => {
      const seed = Number(process.env.CAISSON_TEST_SEED ?? Date.now() % 1_000_000)
      console.info(`CAISSON_TEST_SEED=${seed}`)
      // Where it can, memory goes to disk between the operations.
      await using server = await startSaving({ env: { CAISSON_DUMP_AFTER: '100ms' } })
      const client = server.client()
      const memory = (await client.call('getServer')).memoryPause === 'disk'
      const workers = Array.from(
        { length: WORKERS },
        (_, index) => new Worker(client, numbers(seed + index), `w${index}`, memory),
      )
      let left = OPERATIONS
      let killed = false
      const killer = killing(server, numbers(seed + WORKERS), launcher).finally(() => {
        killed = true
      })
      const works = workers.map(async (worker) => {
        while (left-- > 0 || !killed) await worker.step()
      })
      for (const end of await Promise.allSettled([...works, killer]))
        if (end.status === 'rejected') throw end.reason
      for (const worker of workers) await worker.verifyAll()
      const known = workers.flatMap(({ boxes }) => boxes.map(({ box }) => box))
      const { sandboxes } = await client.call('listSandboxes', { limit: 100 })
      expect(sandboxes.map(({ id }) => id).sort()).toEqual(known.map(({ id }) => id).sort())
      // What a kill has left for the next collection, which another may have cut off.
      await client.call('collectGarbage', {})
      await nothingIsOrphaned(server, client)
      for (const box of known) await box.delete()
      for (const { id } of (await client.call('listSnapshots', { limit: 100 })).snapshots)
        await client.call('deleteSnapshot', { snapshot: id })
      await client.call('collectGarbage', {})
      await nothingIsOrphaned(server, client)
      expect((await client.call('getDiskUsage')).saved.count).toBe(0)
    },
  )

  test('a launcher that is killed again and again hurts nothing that is paused', async () => {
    await using server = await startSaving()
    const client = server.client()
    await using box = await Sandbox.create({ client })
    await text(box, 'echo kept > ~/kept; echo ram > /dev/shm/ram')
    for (let round = 0; round < 5; round++) {
      await box.pause({ depth: 'memory' })
      const pid = launcherPid(server)
      process.kill(pid, 'SIGKILL')
      await until('its end', () => !isAlive(pid))
      expect(await text(box, 'cat ~/kept /dev/shm/ram')).toBe('kept\nram')
      await box.checkpoints.create()
      expect(loopsOf(server)).toHaveLength(1)
    }
    expect((await client.call('listEvents', { id: box.id, type: 'memory:lost' })).total).toBe(0)
  })
})
