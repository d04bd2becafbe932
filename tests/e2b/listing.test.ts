import { Sandbox as Moru } from '@moru-ai/core'
import { Sandbox, type SandboxInfo } from 'e2b'
import { Sandbox as Sandbox245 } from 'e2b-2.45'
import { describe, expect } from 'vitest'
import { cannotNetwork, type E2b, test } from './fixture.ts'

type Options = Parameters<typeof Sandbox.list>[0]

async function all(e2b: E2b, options: Options = {}): Promise<string[]> {
  const pages = Sandbox.list({ ...e2b.options, ...options })
  const found: SandboxInfo[] = []
  while (pages.hasNext) found.push(...(await pages.nextItems()))
  return found.map(({ sandboxId }) => sandboxId)
}

async function create(e2b: E2b, metadata: Record<string, string>): Promise<string> {
  return (await Sandbox.create({ ...e2b.options, metadata, allowInternetAccess: false })).sandboxId
}

async function get(e2b: E2b, path: string) {
  const answer = await fetch(`${e2b.url}${path}`, { headers: { 'x-api-key': e2b.apiKey } })
  return { status: answer.status, json: await answer.json(), headers: answer.headers }
}

describe.skipIf(cannotNetwork)('listing sandboxes', { timeout: 120_000 }, () => {
  test('filters, order and pages', async ({ e2b }) => {
    const group = { group: 'filters' }
    const before = new Date()
    const first = await create(e2b, { ...group, 'k&=ü /%': 'v v&=%20+"' })
    const second = await create(e2b, { ...group, state: 'paused' })
    const third = await create(e2b, group)
    const metadata = group
    const ids = [first, second, third]

    expect(await all(e2b, { query: { metadata } })).toEqual(ids.toReversed())
    expect(await all(e2b, { query: { metadata }, order: 'asc' })).toEqual(ids)
    expect(await all(e2b, { query: { metadata }, limit: 1 })).toEqual(ids.toReversed())
    expect(await all(e2b, { query: { metadata }, limit: 2, order: 'asc' })).toEqual(ids)
    expect(await all(e2b, { query: { metadata: { 'k&=ü /%': 'v v&=%20+"' } } })).toEqual([first])
    expect(await all(e2b, { query: { metadata: { group: 'none' } } })).toEqual([])

    await Sandbox.pause(second, e2b.options)
    expect(await all(e2b, { query: { metadata, state: ['paused'] } })).toEqual([second])
    expect(await all(e2b, { query: { metadata, state: ['running'] } })).toEqual([third, first])
    expect(await all(e2b, { query: { metadata, state: ['running', 'paused'] } })).toEqual(ids.toReversed())

    const { startedAt } = await Sandbox.getInfo(second, e2b.options)
    expect(await all(e2b, { query: { metadata, startedAfter: startedAt } })).toEqual([third, second])
    expect(await all(e2b, { query: { metadata, startedAfter: before } })).toEqual(ids.toReversed())
    expect(await all(e2b, { query: { metadata, startedAfter: new Date(Date.now() + 60_000) } })).toEqual([])

    expect(await all(e2b, { query: { metadata, template: 'base' } })).toEqual(ids.toReversed())
    expect(await all(e2b, { query: { metadata, template: 'absent' } })).toEqual([])
    await expect(all(e2b, { query: { template: 'base:v1' } })).rejects.toThrow('400')
    for (const id of ids) await Sandbox.kill(id, e2b.options)
    expect(await all(e2b, { query: { metadata } })).toEqual([])
  })

  test('pages stay whole while sandboxes come and go', async ({ e2b }) => {
    const metadata = { group: 'pages' }
    const ids: string[] = []
    for (let at = 0; at < 5; at++) ids.unshift(await create(e2b, metadata))
    const pages = Sandbox.list({ ...e2b.options, query: { metadata }, limit: 2 })
    const seen = (await pages.nextItems()).map(({ sandboxId }) => sandboxId)
    await Sandbox.kill(seen[1] ?? '', e2b.options)
    const late = await create(e2b, metadata)
    while (pages.hasNext) seen.push(...(await pages.nextItems()).map(({ sandboxId }) => sandboxId))
    expect(seen).toEqual(ids)
    for (const id of [...ids, late]) await Sandbox.kill(id, e2b.options)
  })

  test('other clients, and the older endpoint', async ({ e2b }) => {
    const metadata = { group: 'others' }
    const id = await create(e2b, metadata)
    const theirs = await Moru.list({ ...e2b.options, query: { metadata, state: ['running'] } }).nextItems()
    expect(theirs.map(({ sandboxId }) => sandboxId)).toEqual([id])
    const older = await Sandbox245.list({ ...e2b.options, query: { metadata } }).nextItems()
    expect(older).toMatchObject([
      { sandboxId: id, templateId: 'base', name: 'base', state: 'running', metadata },
    ])
    const { json } = await get(e2b, `/sandboxes?metadata=${encodeURIComponent('group=others')}`)
    expect(json).toMatchObject([
      { sandboxID: id, envdVersion: '0.6.13', clientID: 'caisson', state: 'running' },
    ])
    await Sandbox.pause(id, e2b.options)
    expect((await get(e2b, `/sandboxes?metadata=${encodeURIComponent('group=others')}`)).json).toEqual([])
    await Sandbox.kill(id, e2b.options)
  })

  test.for([
    'limit=0',
    'limit=101',
    'limit=x',
    'order=up',
    'state=dead',
    'nextToken=nonsense',
    'startedAfter=yesterday',
    'metadata=a%3D%25zz',
  ])('%s is refused', async (query, { e2b }) => {
    const { status, json } = await get(e2b, `/v2/sandboxes?${query}`)
    expect(status).toBe(400)
    expect(json).toMatchObject({ code: 400, message: expect.stringContaining(query.split('=')[0] ?? '') })
  })
})
