import { expect } from 'vitest'
import { LIVE_STATES, STATES } from '../../core/lifecycle.ts'
import { aCheckpoint, aLayer, anEvent, aSandbox, aSnapshot } from '../fixtures.ts'
import type { Declare } from './declare.ts'

export function checkpointPromises(promise: Declare): void {
  promise('keeps the checkpoints of a sandbox, found by id or name', async ({ sandboxes, checkpoints }) => {
    const [box, other] = [aSandbox(), aSandbox()]
    for (const one of [box, other]) await sandboxes.insert(one)
    const first = aCheckpoint(box.id, { name: 'before', layers: ['sav_l'], sizeBytes: 2 ** 45, fileCount: 3 })
    const second = aCheckpoint(box.id)
    const namesake = aCheckpoint(other.id, { name: 'before' })
    // A name like another's id: the id comes first.
    const confusing = aCheckpoint(box.id, { name: second.id })
    for (const one of [confusing, first, second, namesake]) await checkpoints.insert(one)
    expect(await checkpoints.find(box.id, 'before')).toEqual(first)
    expect(await checkpoints.find(box.id, first.id)).toEqual(first)
    expect(await checkpoints.find(box.id, second.id)).toEqual(second)
    expect(await checkpoints.find(box.id, namesake.id)).toBeNull()
    expect(await checkpoints.find(box.id, 'none')).toBeNull()
    const of = { sandboxId: box.id, limit: 2, offset: 0 }
    expect(await checkpoints.list({ ...of, direction: 'asc' })).toEqual({
      items: [confusing, first],
      total: 3,
    })
    const rest = await checkpoints.list({ ...of, offset: 2, direction: 'desc' })
    expect(rest).toEqual({ items: [confusing], total: 3 })
    await checkpoints.update(second.id, { sizeBytes: 7, fileCount: 1 })
    expect(await checkpoints.find(box.id, second.id)).toEqual({ ...second, sizeBytes: 7, fileCount: 1 })
    // It was removed while its files were counted.
    await checkpoints.update('ckpt_none', { sizeBytes: 7, fileCount: 1 })
  })

  promise('refuses a checkpoint of a name that its sandbox has', async (store) => {
    const { sandboxes, checkpoints, events } = store
    const box = aSandbox()
    await sandboxes.insert(box)
    const first = aCheckpoint(box.id, { name: 'a' })
    await checkpoints.insert(first, { events: [anEvent(box.id)] })
    const again = checkpoints.insert(aCheckpoint(box.id, { name: 'a' }), { events: [anEvent(box.id)] })
    await expect(again).rejects.toMatchObject({
      code: 'checkpoint_exists',
      details: { sandbox: box.id, checkpoint: 'a' },
    })
    const known = checkpoints.insert(aCheckpoint(box.id, { id: first.id }))
    await expect(known).rejects.toMatchObject({ code: 'conflict' })
    const nowhere = checkpoints.insert(aCheckpoint('sbx_none'))
    await expect(nowhere).rejects.toMatchObject({ code: 'sandbox_not_found' })
    expect(await events.list({ ...page, sandboxId: box.id })).toMatchObject({ total: 1 })
    for (let i = 0; i < 2; i++) await checkpoints.insert(aCheckpoint(box.id))
    expect(await checkpoints.list({ ...page, sandboxId: box.id })).toMatchObject({ total: 3 })
  })

  promise('removes checkpoints, and tells it once', async ({ sandboxes, checkpoints, events }) => {
    const box = aSandbox()
    await sandboxes.insert(box)
    const all = [aCheckpoint(box.id, { name: 'a' }), aCheckpoint(box.id), aCheckpoint(box.id)]
    for (const one of all) await checkpoints.insert(one)
    const [first, ...rest] = all
    const told = () => ({ events: [anEvent(box.id)] })
    expect(await checkpoints.remove(first!.id, told())).toEqual(first)
    expect(await checkpoints.remove(first!.id, told())).toBeNull()
    expect(await events.list({ ...page, sandboxId: box.id })).toMatchObject({ total: 1 })
    await checkpoints.insert(aCheckpoint(box.id, { id: first!.id, name: 'a', save: first!.save }))
    const saves = await checkpoints.removeOf(box.id)
    expect(saves.toSorted()).toEqual([first!.save, ...rest.map(({ save }) => save)].toSorted())
    expect(await checkpoints.removeOf(box.id)).toEqual([])
    expect(await checkpoints.list({ ...page, sandboxId: box.id })).toEqual({ items: [], total: 0 })
  })
}

export function layerPromises(promise: Declare): void {
  promise('keeps layers, and when each was used last', async ({ layers }) => {
    const [a, b] = [aLayer({ usedAt: 100 }), aLayer({ what: 'ü "x"' })]
    for (const one of [a, b]) await layers.insert(one)
    await expect(layers.insert(aLayer({ digest: a.digest }))).rejects.toMatchObject({ code: 'conflict' })
    expect(await layers.find(a.digest, 200)).toEqual({ ...a, usedAt: 200 })
    // The clock may be set back.
    expect(await layers.find(a.digest, 150)).toEqual({ ...a, usedAt: 200 })
    expect(await layers.find('none', 300)).toBeNull()
    expect(await layers.list()).toEqual([{ ...a, usedAt: 200 }, b])
    await layers.remove(a.digest)
    await layers.remove(a.digest)
    expect(await layers.list()).toEqual([b])
  })

  promise('names every save that something still needs', async (store) => {
    const { sandboxes, checkpoints, snapshots, layers } = store
    expect(await store.namedSaves()).toEqual(new Set())
    const layer = aLayer()
    await layers.insert(layer)
    await layers.insert(aLayer({ save: layer.save }))
    const snapshot = aSnapshot({ layers: ['sav_s1', layer.save] })
    await snapshots.insert(snapshot)
    const needed = new Set([layer.save, snapshot.save, 'sav_s1'])
    expect(await store.namedSaves()).toEqual(needed)
    for (const state of STATES) {
      const of = (what: string) => `sav_${state}_${what}`
      const restoring = { checkpointId: 'c', save: of('r'), layers: [of('r1'), of('r2')], resume: false }
      const box = aSandbox({ state, layers: [of('l1'), of('l2')], base: of('b'), restoring })
      const bare = aSandbox({ state })
      for (const one of [box, bare]) await sandboxes.insert(one)
      await checkpoints.insert(aCheckpoint(bare.id, { save: of('c'), layers: [of('c1')] }))
      if (!LIVE_STATES.includes(state)) continue
      for (const what of ['l1', 'l2', 'b', 'r', 'r1', 'r2', 'c', 'c1']) needed.add(of(what))
    }
    expect(await store.namedSaves()).toEqual(needed)
  })
}

const page = { limit: 100, offset: 0, direction: 'asc' } as const
