import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../config.ts'
import { aSandbox, aSnapshot } from '../../state/fixtures.ts'
import { createMemoryStore } from '../../state/memory/index.ts'
import { Catalogue } from '../../storage/images/catalogue.ts'
import { MemoryLayers } from '../../storage/memory/index.ts'
import { holdSave, removeSavesIfUnnamed } from './hold.ts'

async function world(...saves: string[]) {
  const layers = new MemoryLayers()
  await layers.prepare('sbx_a', { image: null, layers: [], from: null, diskBytes: null })
  for (const save of saves) await layers.saves.save('sbx_a', save)
  const store = createMemoryStore()
  const images = new Catalogue(loadConfig({ dataDir: '/nowhere', driver: 'memory' }, {}))
  return { layers, store, images, heldSaves: new Map<string, number>(), log: pino({ level: 'silent' }) }
}

describe('a hold', () => {
  test('counts, so that the last one frees', async () => {
    const { heldSaves } = await world()
    const first = holdSave({ heldSaves }, 'sav_a', null, 'sav_b')
    const second = holdSave({ heldSaves }, 'sav_a')
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    expect([...heldSaves]).toEqual([['sav_a', 1]])
    second[Symbol.dispose]()
    expect(heldSaves.size).toBe(0)
  })
})

describe('saves that may go', () => {
  test('go unless a record names them or somebody holds them', async () => {
    const context = await world('sav_free', 'sav_snapshot', 'sav_base', 'sav_held')
    await context.store.snapshots.insert(aSnapshot({ save: 'sav_snapshot' }))
    await context.store.sandboxes.insert(aSandbox({ base: 'sav_base' }))
    using _ = holdSave(context, 'sav_held')
    await removeSavesIfUnnamed(context, ['sav_free', 'sav_snapshot', 'sav_base', 'sav_held'])
    expect(await context.layers.saves.list()).toEqual(['sav_snapshot', 'sav_base', 'sav_held'])
  })

  test('stay when they are held while the records are read', async () => {
    const context = await world('sav_a')
    const named = context.store.namedSaves
    context.store.namedSaves = async () => {
      holdSave(context, 'sav_a')
      return named.call(context.store)
    }
    await removeSavesIfUnnamed(context, ['sav_a'])
    expect(await context.layers.saves.list()).toEqual(['sav_a'])
  })

  test('that cannot be removed are no failure', async () => {
    const context = await world('sav_a')
    context.layers.saves.remove = async () => {
      throw new Error('the disk is gone')
    }
    await expect(removeSavesIfUnnamed(context, ['sav_a'])).resolves.toBeUndefined()
  })
})
