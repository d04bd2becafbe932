import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Observation } from '../../core/network/types.ts'
import { createMemoryStore } from '../../state/memory/index.ts'
import { Ledger, LOG_TYPES, MAX_DESTINATIONS } from './ledger.ts'

function setUp() {
  const store = createMemoryStore()
  const ledger = new Ledger(store, pino({ level: 'silent' }))
  const entries = async (sandboxId = 'sbx_a') => {
    const query = { sandboxId, type: LOG_TYPES, limit: 10_000, offset: 0, direction: 'asc' } as const
    return (await store.events.list(query)).items
  }
  const destinations = async () =>
    (await store.destinations.list({ sandboxId: 'sbx_a', limit: 10_000, offset: 0 })).items
  return { store, ledger, entries, destinations }
}

const refused = (fields: Partial<Observation> = {}): Observation => ({
  verdict: 'refused',
  protocol: 'tcp',
  name: null,
  address: '93.184.216.34',
  port: 22,
  rule: 'default deny',
  message: 'No.',
  ...fields,
})
const allowed = (fields: Partial<Observation> = {}) => refused({ verdict: 'allowed', ...fields })

test('the first of a kind is told at once, its repeats as one entry a minute later', async () => {
  const { ledger, entries } = setUp()
  for (let i = 0; i < 1000; i++) ledger.observe('sbx_a', refused(), 1000 + i)
  ledger.observe('sbx_a', refused({ port: 23 }), 2000)
  await ledger.flush()
  expect((await entries()).map(({ payload }) => [payload.port, payload.count])).toEqual([
    [22, 1],
    [23, 1],
  ])
  await ledger.sweep(30_000)
  expect(await entries()).toHaveLength(2)
  await ledger.sweep(61_000)
  expect((await entries())[2]).toMatchObject({
    type: 'network:refused',
    payload: {
      verdict: 'refused',
      protocol: 'tcp',
      name: null,
      address: '93.184.216.34',
      port: 22,
      rule: 'default deny',
      message: 'No.',
      count: 999,
      process: null,
    },
  })
  // The next one comes after a silent minute.
  await ledger.sweep(122_000)
  ledger.observe('sbx_a', refused(), 130_000)
  await ledger.flush()
  expect(await entries()).toHaveLength(4)
  await ledger.close()
})

test('an end tells what was counted', async () => {
  const { ledger, entries } = setUp()
  for (let i = 0; i < 3; i++) ledger.observe('sbx_a', refused(), 1000)
  await ledger.end('sbx_a')
  expect((await entries()).map(({ payload }) => payload.count)).toEqual([1, 2])
  await ledger.end('sbx_b')
  await ledger.close()
  expect(await entries()).toHaveLength(2)
})

test('many kinds in a minute are silenced, and counted as far as they go on', async () => {
  const { ledger, entries } = setUp()
  for (let port = 0; port < 5000; port++) ledger.observe('sbx_a', refused({ port }), 1000)
  ledger.observe('sbx_a', refused({ port: 4999 }), 1000)
  await ledger.flush()
  const told = await entries()
  expect(told).toHaveLength(60)
  expect(told.at(-1)).toMatchObject({ type: 'network:silenced', payload: { rule: 'log limit' } })
  await ledger.sweep(62_000)
  const later = (await entries()).slice(60)
  expect(later).toHaveLength(60)
  await ledger.close()
})

test('pairs of repeats that push one another out make no entries of their own', async () => {
  const { ledger, entries } = setUp()
  for (let port = 0; port < 5000; port++)
    for (let i = 0; i < 2; i++) ledger.observe('sbx_a', refused({ port }), 1000)
  await ledger.close()
  expect((await entries()).length).toBeLessThanOrEqual(60 + 59)
})

test('a thousand are kept of a sandbox, over restarts', async () => {
  const { store, ledger, entries } = setUp()
  let now = 0
  const flood = async (book: Ledger) => {
    for (let minute = 0; minute < 12; minute++) {
      for (let port = 0; port < 70; port++) book.observe('sbx_a', refused({ port: minute * 100 + port }), now)
      await book.flush()
      now += 61_000
    }
  }
  await flood(ledger)
  const next = new Ledger(store, pino({ level: 'silent' }))
  await flood(next)
  const all = await entries()
  expect(all).toHaveLength(1000)
  expect(all.at(-1)).toMatchObject({
    type: 'network:silenced',
    payload: { message: expect.stringMatching('no more is told') },
  })
  next.observe('sbx_b', refused(), now)
  await next.flush()
  expect(await entries('sbx_b')).toHaveLength(1)
  await ledger.close()
  await next.close()
})

test('connections and their bytes add up by destination', async () => {
  const { ledger, destinations } = setUp()
  const tls = { protocol: 'tls', name: 'example.com', port: 443 } as const
  ledger.observe('sbx_a', allowed(tls), 100)
  ledger.observe('sbx_a', allowed({ ...tls, bytes: { up: 5, down: 7 } }), 200)
  ledger.observe('sbx_a', allowed(tls), 300)
  ledger.observe('sbx_a', allowed({ protocol: 'icmp', port: null }), 250)
  ledger.observe('sbx_a', allowed({ protocol: 'dns', name: 'example.com' }), 400)
  ledger.observe('sbx_a', allowed({ ...tls, address: null }), 500)
  await ledger.flush()
  ledger.observe('sbx_a', allowed({ ...tls, bytes: { up: 1, down: 1 } }), 600)
  await ledger.close()
  const address = '93.184.216.34'
  expect(await destinations()).toEqual([
    {
      sandboxId: 'sbx_a',
      name: 'example.com',
      address,
      port: 443,
      protocol: 'tcp',
      connections: 2,
      uploadedBytes: 6,
      downloadedBytes: 8,
      firstAt: 100,
      lastAt: 600,
    },
    {
      sandboxId: 'sbx_a',
      name: '',
      address,
      port: 0,
      protocol: 'icmp',
      connections: 1,
      uploadedBytes: null,
      downloadedBytes: null,
      firstAt: 250,
      lastAt: 250,
    },
  ])
})

test('a scan takes no more memory or rows than the most recent destinations', async () => {
  const { ledger, destinations } = setUp()
  for (let port = 1; port <= 2000; port++) ledger.observe('sbx_a', allowed({ port }), port)
  await ledger.close()
  const kept = await destinations()
  expect(kept).toHaveLength(MAX_DESTINATIONS)
  expect(kept[0]?.port).toBe(2000)
})

test('a store that fails costs what was not written, and nothing else', async () => {
  const { store, ledger, entries } = setUp()
  const add = store.events.add.bind(store.events)
  store.events.add = () => Promise.reject(new Error('disk full'))
  ledger.observe('sbx_a', refused(), 1000)
  await ledger.flush()
  store.events.add = add
  ledger.observe('sbx_a', refused({ port: 23 }), 1000)
  await ledger.flush()
  expect((await entries()).map(({ payload }) => payload.port)).toEqual([23])
  await ledger.close()
})
