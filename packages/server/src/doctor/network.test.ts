import { expect, test } from 'vitest'
import { judge } from './firewall.ts'
import { droppingForward, forwarding, previews } from './forwarding.ts'

const GOOD = { none: 'ECONNREFUSED', allowed: 'open', other: 'ECONNREFUSED', host: 'ECONNREFUSED' }

test('a firewall is in force when what is allowed is open and nothing else is', () => {
  expect(judge(GOOD).state).toBe('ok')
})

test.each(['none', 'other', 'host'] as const)(
  'one that lets through what is not allowed (%s) is none',
  (what) => {
    expect(judge({ ...GOOD, [what]: 'open' })).toMatchObject({
      state: 'missing',
      detail: expect.stringContaining('reached'),
      fix: expect.stringMatching(/\.$/),
    })
  },
)

test('one that lets nothing through does not work; one that hangs is not as it should be', () => {
  expect(judge({ ...GOOD, allowed: 'silent' })).toMatchObject({
    state: 'missing',
    detail: expect.stringContaining('silent'),
  })
  expect(judge({ ...GOOD, other: 'silent' }).state).toBe('degraded')
})

test('other firewalls are those that drop what is forwarded, ours aside', () => {
  const chain = (table: string, hook: string, policy: string) => ({
    chain: { family: 'ip', table, name: 'c', handle: 1, hook, policy },
  })
  const listed = [
    { metainfo: { version: '1.0.6' } },
    chain('filter', 'forward', 'drop'),
    chain('filter', 'input', 'drop'),
    chain('nat', 'forward', 'accept'),
    chain('caisson_0123', 'forward', 'drop'),
    { chain: { family: 'inet', table: 'other', name: 'plain' } },
  ]
  const found = droppingForward(JSON.stringify({ nftables: listed }))
  expect(found.map(({ table, hook }) => [table, hook])).toEqual([['filter', 'forward']])
})

test('whether IPv4 is forwarded is told and is no failure', async () => {
  expect((await forwarding()).state).toBe('ok')
})

test('names of exposed ports are looked up, and other forms named when there are none', async () => {
  const listen = '127.0.0.1:4700'
  expect((await previews({ listen: null, previewDomain: 'localhost' })).state).toBe('degraded')
  expect(await previews({ listen, previewDomain: 'nowhere.invalid' })).toMatchObject({
    state: 'degraded',
    fix: expect.stringContaining('*.nowhere.invalid'),
  })
})
