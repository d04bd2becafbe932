import { expect } from 'vitest'
import type { SnapshotRecord } from '../../core/records.ts'
import { anEvent, aSnapshot } from '../fixtures.ts'
import type { SnapshotQuery, Store } from '../store.ts'
import { type Declare, expectedOrder, numbers } from './declare.ts'

const page = { sort: 'created', direction: 'asc', limit: 100, offset: 0 } as const

export function snapshotPromises(promise: Declare): void {
  const ids = async ({ snapshots }: Store, query: Partial<SnapshotQuery>) =>
    (await snapshots.list({ ...page, ...query })).items.map(({ id }) => id)

  promise('gives back snapshots', async ({ snapshots, events }) => {
    const full = aSnapshot({
      tag: 'v1.0',
      description: 'with "quotes" and ünïcode',
      public: true,
      memory: true,
      metadata: { 'a.b': 'c\u0000' },
      imageDigest: 'ab',
      layers: ['sav_1', 'sav_2'],
      env: { TOKEN: 'x' },
      user: 'node',
      dependencies: ['jq'],
      packages: ['@a/b'],
      sandboxId: 'sbx_1',
      parentId: 'snp_1',
      contentHash: 'cd',
      sizeBytes: 2 ** 45,
      fileCount: 0,
    })
    await snapshots.insert(full, { events: [anEvent('sbx_1')] })
    expect(await snapshots.get(full.id)).toEqual(full)
    expect(await snapshots.get('snp_none')).toBeNull()
    expect(await events.list({ ...page, sandboxId: 'sbx_1' })).toMatchObject({ total: 1 })
    await expect(snapshots.insert(aSnapshot({ id: full.id }))).rejects.toMatchObject({ code: 'conflict' })
    expect(await snapshots.remove(full.id)).toEqual(full)
    expect(await snapshots.remove(full.id)).toBeNull()
    expect(await snapshots.get(full.id)).toBeNull()
  })

  promise('moves a tag among the snapshots of a name', async ({ snapshots }) => {
    const first = aSnapshot({ tag: 'latest' })
    const second = aSnapshot({ tag: 'latest', createdAt: 5, updatedAt: 5 })
    const other = aSnapshot({ name: 'api', tag: 'latest' })
    for (const one of [first, other, second]) await snapshots.insert(one)
    expect(await snapshots.get(first.id)).toEqual({ ...first, tag: null, updatedAt: 5 })
    expect(await snapshots.matching({ tag: 'latest' })).toEqual([other, second])
    expect(await snapshots.update(first.id, { tag: 'latest', updatedAt: 9 })).toEqual({
      ...first,
      updatedAt: 9,
    })
    expect(await snapshots.get(second.id)).toEqual({ ...second, tag: null, updatedAt: 9 })
    expect(await snapshots.update(first.id, { tag: 'latest', updatedAt: 10 })).toMatchObject({
      tag: 'latest',
    })
    expect(await snapshots.get(other.id)).toEqual(other)
    expect(await snapshots.update(first.id, { tag: null })).toMatchObject({ tag: null })
    expect(await snapshots.matching({ name: 'web', tag: 'latest' })).toEqual([])
    const lost = expect(snapshots.update('snp_none', { tag: 'latest' })).rejects
    await lost.toMatchObject({ code: 'snapshot_not_found' })
    expect((await snapshots.get(other.id))?.tag).toBe('latest')
  })

  promise('takes no tag away for a snapshot that is refused', async ({ snapshots, events }) => {
    const told = anEvent('sbx_1')
    await events.add([told])
    const [first, second] = [aSnapshot({ tag: 'latest' }), aSnapshot()]
    for (const one of [first, second]) await snapshots.insert(one)
    const twice = snapshots.insert(aSnapshot({ id: second.id, tag: 'latest' }))
    await expect(twice).rejects.toMatchObject({ code: 'conflict' })
    const untold = aSnapshot({ tag: 'latest' })
    await expect(snapshots.insert(untold, { events: [told] })).rejects.toMatchObject({ code: 'conflict' })
    expect(await snapshots.get(untold.id)).toBeNull()
    expect(await snapshots.get(first.id)).toEqual(first)
  })

  promise('measuring changes nothing else', async ({ snapshots }) => {
    const snapshot = aSnapshot({ tag: 'latest' })
    await snapshots.insert(snapshot)
    const measured = await snapshots.update(snapshot.id, { sizeBytes: 5, fileCount: 2 })
    expect(measured).toEqual({ ...snapshot, sizeBytes: 5, fileCount: 2 })
    expect(await snapshots.get(snapshot.id)).toEqual(measured)
  })

  promise('a tag is on one snapshot of a name, whatever happens', async ({ snapshots }) => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = numbers(seed)
      const tags = [null, 'a', 'b'] as const
      const model = new Map<string, SnapshotRecord>()
      for (let step = 0; step < 30; step++) {
        const tag = tags[random(tags.length)]!
        const known = [...model.keys()]
        const chosen = known[random(known.length + 2)]
        const untag = (name: string) => {
          for (const one of model.values())
            if (tag !== null && one.name === name && one.tag === tag) one.tag = null
        }
        if (chosen === undefined) {
          const snapshot = aSnapshot({ name: `${seed}-${random(2)}`, tag })
          untag(snapshot.name)
          await snapshots.insert(snapshot)
          model.set(snapshot.id, snapshot)
        } else if (random(4) === 0) {
          await snapshots.remove(chosen)
          model.delete(chosen)
        } else {
          const changed = model.get(chosen)!
          untag(changed.name)
          changed.tag = tag
          await snapshots.update(chosen, { tag })
        }
        for (const one of model.values())
          expect((await snapshots.get(one.id))?.tag, `seed ${seed}, step ${step}`).toBe(one.tag)
      }
    }
  })

  promise('lists snapshots by every filter', async (store) => {
    const a = aSnapshot({ name: 'a', tag: 'latest', sandboxId: 'sbx_1', public: true, contentHash: 'x' })
    const b = aSnapshot({ name: 'a', parentId: a.id, tag: 'old' })
    const c = aSnapshot({ name: 'c', tag: 'latest', sandboxId: 'sbx_2', parentId: a.id })
    for (const one of [a, b, c]) await store.snapshots.insert(one)
    const cases: [Partial<SnapshotQuery>, string[]][] = [
      [{}, [a.id, b.id, c.id]],
      [{ name: 'a' }, [a.id, b.id]],
      [{ tag: 'latest' }, [a.id, c.id]],
      [{ name: 'a', tag: 'latest' }, [a.id]],
      [{ sandboxId: 'sbx_2' }, [c.id]],
      [{ parentId: a.id }, [b.id, c.id]],
      [{ public: true }, [a.id]],
      [{ public: false }, [b.id, c.id]],
      [{ contentHash: 'x' }, [a.id]],
      [{ contentHash: 'y' }, []],
    ]
    for (const [query, expected] of cases)
      expect(await ids(store, query), JSON.stringify(query)).toEqual(expected)
    expect(await store.snapshots.matching({ name: 'a' })).toEqual([a, b])
    expect(await store.snapshots.list({ ...page, name: 'a', limit: 1, offset: 1 })).toEqual({
      items: [b],
      total: 2,
    })
  })

  promise('sorts snapshots by every field, nulls last, ties by age', async (store) => {
    const random = numbers(7)
    const maybe = (below: number) => (random(3) === 0 ? null : random(below))
    const all = Array.from({ length: 40 }, () =>
      aSnapshot({
        name: `n${random(5)}`,
        createdAt: random(10),
        sizeBytes: maybe(6),
        fileCount: maybe(3),
      }),
    )
    for (const one of all) await store.snapshots.insert(one)
    const keys = {
      name: (one: SnapshotRecord) => one.name,
      created: (one: SnapshotRecord) => one.createdAt,
      size: (one: SnapshotRecord) => one.sizeBytes,
      files: (one: SnapshotRecord) => one.fileCount,
    } as const satisfies Record<SnapshotQuery['sort'], unknown>
    for (const sort of ['name', 'created', 'size', 'files'] as const) {
      for (const direction of ['asc', 'desc'] as const) {
        const expected = expectedOrder(all, keys[sort], direction)
        expect(await ids(store, { sort, direction }), `${sort} ${direction}`).toEqual(expected)
        const few = { sort, direction, limit: 7, offset: 20 }
        expect(await ids(store, few)).toEqual(expected.slice(20, 27))
      }
    }
  })
}
