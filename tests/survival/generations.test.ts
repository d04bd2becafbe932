import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, digest, plant, startSaving, text } from '../saved/world.ts'
import { numbers } from './random.ts'
import { nothingIsOrphaned } from './world.ts'

const GENERATIONS = 40

describe.skipIf(cannotSave !== null)('saved files', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  const remove = (snapshot: string) => client.call('deleteSnapshot', { snapshot })

  test(`of ${GENERATIONS} generations, each made of the one before, are deleted in any order`, async () => {
    let box = (await Sandbox.create({ client })).keep()
    for (let generation = 1; generation <= GENERATIONS; generation++) {
      await text(box, `echo ${generation} > ~/g${generation}; echo ${generation} > ~/last`)
      await client.call('createSnapshot', { id: box.id, name: `g${generation}` })
      await box.delete()
      box = (await Sandbox.create({ client, snapshot: `g${generation}` })).keep()
    }
    const { ancestors } = await client.call('getLineage', { snapshot: `g${GENERATIONS}` })
    expect(ancestors.map(({ name }) => name)).toEqual(
      Array.from({ length: GENERATIONS - 1 }, (_, index) => `g${GENERATIONS - 1 - index}`),
    )
    const random = numbers(7)
    const left = Array.from({ length: GENERATIONS }, (_, index) => index + 1)
    while (left.length > 0) {
      const [generation] = left.splice(random(left.length), 1)
      await using made = await Sandbox.create({ client, snapshot: `g${generation}` })
      await remove(`g${generation}`)
      expect(await text(made, 'cat ~/last; ls ~ | grep -c ^g')).toBe(`${generation}\n${generation}`)
    }
    await client.call('collectGarbage', {})
    const all = Array.from({ length: GENERATIONS }, (_, index) => `${index + 1}`)
    expect(await text(box, 'cat $(ls -v ~/g*)')).toBe(all.join('\n'))
    await box.delete()
    await nothingIsOrphaned(server, client)
    expect((await client.call('getDiskUsage')).saved.count).toBe(0)
  })

  test(`lie on one another for ${GENERATIONS} generations of pauses to the workspace, or are refused and whole`, async () => {
    let box = (await Sandbox.create({ client })).keep()
    let refused = 0
    for (let generation = 1; generation <= GENERATIONS; generation++) {
      await text(box, `mkdir -p ~/workspace; echo ${generation} > ~/workspace/g${generation}`)
      try {
        await box.pause({ depth: 'workspace' })
      } catch (error) {
        expect(error).toMatchObject({
          code: 'not_supported',
          details: { reason: expect.stringContaining('filesystem') },
        })
        refused += 1
        // Nothing was ended for it.
        expect((await box.refresh()).info.status).toBe('idle')
        await box.pause({ depth: 'filesystem' })
      }
      expect(await text(box, 'ls ~/workspace | wc -l')).toBe(`${generation}`)
      await client.call('createSnapshot', { id: box.id, name: 'layered' })
      const before = box
      box = (await Sandbox.create({ client, snapshot: 'layered' })).keep()
      await before.delete()
      await client.call('collectGarbage', {})
    }
    expect(refused).toBeGreaterThan(0)
    for (const { id } of (await client.call('listSnapshots', { limit: 100 })).snapshots) await remove(id)
    const all = Array.from({ length: GENERATIONS }, (_, index) => `${index + 1}`)
    expect(await text(box, 'cat $(ls -v ~/workspace/g*)')).toBe(all.join('\n'))
    await box.delete()
    await nothingIsOrphaned(server, client)
  })

  test('of a fork of a fork of a fork are those of the first, whichever goes first', async () => {
    const first = (await Sandbox.create({ client })).keep()
    const before = await plant(first)
    const family = [first]
    for (let generation = 0; generation < 3; generation++) {
      const [fork] = await family.at(-1)!.fork({ count: 1 })
      family.push(fork!.keep())
    }
    for (const index of [1, 0, 1]) {
      const [gone] = family.splice(index, 1)
      await gone!.delete()
      await client.call('collectGarbage', {})
      for (const box of family) expect(await digest(box)).toBe(before)
    }
    await family[0]!.delete()
    await nothingIsOrphaned(server, client)
  })

  test('of two restores at once are those of one of them', async () => {
    await using box = await Sandbox.create({ client })
    for (const state of ['a', 'b']) {
      await text(box, `for i in $(seq 1 200); do echo ${state} > ~/f$i; done`)
      await box.checkpoints.create(state)
    }
    for (let round = 0; round < 5; round++) {
      const [one, other] = round % 2 === 0 ? ['a', 'b'] : ['b', 'a']
      await Promise.all([box.checkpoints.restore(one!), box.checkpoints.restore(other!)])
      expect(['a', 'b']).toContain(await text(box, 'cat ~/f* | sort -u'))
    }
    expect((await client.call('listEvents', { id: box.id, type: 'checkpoint:restored' })).total).toBe(10)
  })

  test('have at most a hundred checkpoints a sandbox, with names that are names', async () => {
    await using box = await Sandbox.create({ client })
    for (const name of ['', '../up', 'a/b', 'a b', '-a', 'x'.repeat(65), 'ключ', 'a\n'])
      await expect(box.checkpoints.create(name)).rejects.toMatchObject({ code: 'invalid_request' })
    await box.checkpoints.create('first')
    await expect(box.checkpoints.create('first')).rejects.toMatchObject({ code: 'checkpoint_exists' })
    for (let count = 1; count < 100; count++) await box.checkpoints.create()
    await expect(box.checkpoints.create('more')).rejects.toMatchObject({
      code: 'too_many',
      message: expect.stringContaining('100'),
    })
    await client.call('deleteCheckpoint', { id: box.id, checkpoint: 'first' })
    await box.checkpoints.create('more')
    await box.delete()
    await nothingIsOrphaned(server, client)
  })
})
