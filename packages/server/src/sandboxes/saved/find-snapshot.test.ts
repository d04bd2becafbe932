import { describe, expect, test } from 'vitest'
import type { SnapshotRecord } from '../../core/records.ts'
import { aSnapshot } from '../../state/fixtures.ts'
import { createMemoryStore } from '../../state/memory/index.ts'
import { findSnapshot } from './find-snapshot.ts'

async function among(...snapshots: SnapshotRecord[]) {
  const store = createMemoryStore()
  for (const snapshot of snapshots) await store.snapshots.insert(snapshot)
  return async (reference: string) => (await findSnapshot({ store }, reference)).id
}

describe('a snapshot is found by', () => {
  const web1 = aSnapshot({ name: 'web', tag: 'v1' })
  const web2 = aSnapshot({ name: 'web', tag: 'latest' })
  const db = aSnapshot({ name: 'db', tag: null })
  const api = aSnapshot({ name: 'api', tag: 'v2' })

  test('its id, name and tag, name alone, or tag alone', async () => {
    const find = await among(web1, web2, db, api)
    expect(await find(web1.id)).toBe(web1.id)
    expect(await find('web:v1')).toBe(web1.id)
    expect(await find('web')).toBe(web2.id)
    expect(await find('web:latest')).toBe(web2.id)
    expect(await find('db')).toBe(db.id)
    expect(await find('api')).toBe(api.id)
    expect(await find('v2')).toBe(api.id)
  })

  test('a name before a tag that reads the same', async () => {
    const named = aSnapshot({ name: 'v2', tag: 'first' })
    expect(await (await among(api, named))('v2')).toBe(named.id)
  })

  test.each(['nothing', 'web:v2', 'web:', ':v1', 'snp_aaaa', 'db:latest'])(
    'nothing for %j',
    async (reference) => {
      const find = await among(web1, web2, db)
      await expect(find(reference)).rejects.toMatchObject({ code: 'snapshot_not_found' })
    },
  )

  test('neither of two that it may mean, but it says which', async () => {
    const other = aSnapshot({ name: 'db', tag: 'v1' })
    const find = await among(web1, db, other)
    await expect(find('db')).rejects.toMatchObject({
      code: 'snapshot_ambiguous',
      details: { matches: [db.id, 'db:v1'] },
    })
    await expect(find('v1')).rejects.toMatchObject({ details: { matches: ['web:v1', 'db:v1'] } })
  })
})
