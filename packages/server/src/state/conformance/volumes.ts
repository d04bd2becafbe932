import { expect } from 'vitest'
import { newId } from '../../core/ids.ts'
import type { SandboxRecord, VolumeRecord } from '../../core/records.ts'
import { aSandbox } from '../fixtures.ts'
import type { SandboxQuery } from '../store.ts'
import type { Declare } from './declare.ts'

const page = { sort: 'created', direction: 'asc', limit: 100, offset: 0 } as const

function aVolume(fields: Partial<VolumeRecord> = {}): VolumeRecord {
  const id = newId('vol')
  return { id, name: `n${id}`, limitBytes: null, metadata: {}, createdAt: 1, updatedAt: 1, ...fields }
}

export function volumePromises(promise: Declare): void {
  promise('gives back a volume', async ({ volumes }) => {
    const full = aVolume({ name: 'data', limitBytes: 2 ** 45, metadata: { 'a"b': 'ü' }, updatedAt: 2 })
    const bare = aVolume()
    await volumes.insert(full)
    await volumes.insert(bare)
    expect(await volumes.find(full.id)).toEqual(full)
    expect(await volumes.find('data')).toEqual(full)
    expect(await volumes.find(bare.name)).toEqual(bare)
    expect(await volumes.find('none')).toBeNull()
    full.metadata.later = 'changed'
    expect((await volumes.find('data'))?.metadata).toEqual({ 'a"b': 'ü' })
  })

  promise('finds a volume by id before another that has the id as its name', async ({ volumes }) => {
    const meant = aVolume()
    await volumes.insert(aVolume({ name: meant.id }))
    await volumes.insert(meant)
    expect(await volumes.find(meant.id)).toEqual(meant)
  })

  promise('refuses a volume whose name or id is taken', async ({ volumes }) => {
    const first = aVolume({ name: 'data' })
    await volumes.insert(first)
    const taken = expect(volumes.insert(aVolume({ name: 'data' }))).rejects
    await taken.toMatchObject({ code: 'volume_exists', details: { volume: 'data' } })
    const twice = expect(volumes.insert(aVolume({ id: first.id }))).rejects
    await twice.toMatchObject({ code: 'conflict' })
    expect(await volumes.list(page)).toEqual({ items: [first], total: 1 })
  })

  promise('forgets a volume, and its name is free again', async ({ volumes }) => {
    const first = aVolume({ name: 'data' })
    await volumes.insert(first)
    expect(await volumes.remove('data')).toBe(false)
    expect(await volumes.remove(first.id)).toBe(true)
    expect(await volumes.remove(first.id)).toBe(false)
    const second = aVolume({ name: 'data' })
    await volumes.insert(second)
    expect(await volumes.find('data')).toEqual(second)
  })

  promise('lists volumes in pages, sorted', async ({ volumes }) => {
    const [b, a, c] = [
      aVolume({ name: 'b', createdAt: 1 }),
      aVolume({ name: 'a', createdAt: 2 }),
      aVolume({ name: 'c', createdAt: 2 }),
    ]
    for (const volume of [b, a, c]) await volumes.insert(volume)
    const listed = async (query: object) => (await volumes.list({ ...page, ...query })).items
    expect(await listed({})).toEqual([b, a, c])
    expect(await listed({ direction: 'desc' })).toEqual([c, a, b])
    expect(await listed({ sort: 'name' })).toEqual([a, b, c])
    expect(await listed({ sort: 'name', direction: 'desc' })).toEqual([c, b, a])
    expect(await volumes.list({ ...page, limit: 1, offset: 1 })).toEqual({ items: [a], total: 3 })
  })

  promise(
    'lists sandboxes by what they are made of, what they have and since when',
    async ({ sandboxes }) => {
      const uses = (volume: string) => [{ volume, name: 'data', path: '/data', readOnly: false }]
      const boxes = {
        template: aSandbox({ templateId: 'tpl_a', createdAt: 10 }),
        snapshot: aSandbox({ snapshotId: 'snp_a', createdAt: 20 }),
        runtime: aSandbox({ runtime: 'python:3', createdAt: 30 }),
        volume: aSandbox({ volumes: [...uses('vol_b'), ...uses('vol_a')], createdAt: 40 }),
        builder: aSandbox({ internal: 'build', templateId: 'tpl_a', createdAt: 50 }),
        keeper: aSandbox({ internal: 'volume', volumes: uses('vol_a'), createdAt: 60 }),
      }
      for (const box of Object.values(boxes)) await sandboxes.insert(box)
      const cases: [Partial<SandboxQuery>, SandboxRecord[]][] = [
        [{ template: 'tpl_a' }, [boxes.template]],
        [{ template: 'tpl_a', internal: true }, [boxes.template, boxes.builder]],
        [{ template: 'snp_a' }, [boxes.snapshot]],
        [{ template: 'python:3' }, [boxes.runtime]],
        [{ template: 'none' }, []],
        [{ createdAfter: 30 }, [boxes.runtime, boxes.volume]],
        [{ createdAfter: 31 }, [boxes.volume]],
        [{ volume: 'vol_a' }, [boxes.volume]],
        [{ volume: 'vol_a', internal: true }, [boxes.volume, boxes.keeper]],
        [{ volume: 'vol_' }, []],
        [{}, [boxes.template, boxes.snapshot, boxes.runtime, boxes.volume]],
        [{ internal: true }, Object.values(boxes)],
      ]
      for (const [query, items] of cases)
        expect(await sandboxes.list({ ...page, ...query }), JSON.stringify(query)).toEqual({
          items,
          total: items.length,
        })
      expect(await sandboxes.inStates(['ready'])).toHaveLength(6)
      expect(await sandboxes.get(boxes.keeper.id)).toEqual(boxes.keeper)
    },
  )
}
