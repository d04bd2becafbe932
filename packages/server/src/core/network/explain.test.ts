import type { NetworkAsked } from '@caisson/protocol/resources'
import { expect, test } from 'vitest'
import { explain, explainNone, parseDestination } from './explain.ts'
import { compilePolicy } from './policy.ts'
import { parseNetwork } from './rules.ts'
import type { NetworkRecord } from './types.ts'

test.each([
  ['example.com', 'name', 'example.com', null],
  ['EXAMPLE.com.:443', 'name', 'example.com', 443],
  ['1.2.3.4', 'address', '1.2.3.4', null],
  ['1.2.3.4:22', 'address', '1.2.3.4', 22],
  ['2001:db8::1', 'address', '2001:db8::1', null],
  ['[2001:DB8::1]:22', 'address', '2001:db8::1', 22],
  ['[2001:db8::1]', 'address', '2001:db8::1', null],
])('%s is a destination', (text, kind, host, port) => {
  expect(parseDestination(text)).toEqual({ kind, host, port })
})

test.each([
  '',
  ':443',
  'example.com:',
  'example.com:0',
  'example.com:x',
  'https://example.com',
  '127.1:80',
  '[]:1',
  '[a',
])('%j is none', (text) => {
  expect(() => parseDestination(text)).toThrow(/is no host/)
})

function ask(asked: NetworkAsked, destination: string, addresses: string[] = []) {
  const record = parseNetwork(asked, { permit: [] }) as NetworkRecord
  return explain(compilePolicy(record, { permit: [], host: [] }), parseDestination(destination), addresses)
}

const RULES = { allow: ['a.example', 'b.example:22', '8.8.8.0/24'] }

test.each([
  ['a.example', ['9.9.9.9'], 'allowed', 'allow a.example'],
  ['a.example:443', ['9.9.9.9'], 'allowed', 'allow a.example'],
  ['a.example:443', ['10.0.0.1', '9.9.9.9'], 'allowed', 'allow a.example'],
  ['a.example:443', ['10.0.0.1'], 'refused', 'private address'],
  ['a.example:443', [], 'refused', 'no address'],
  ['a.example:22', ['9.9.9.9'], 'refused', 'default deny'],
  ['a.example:22', ['8.8.8.8'], 'allowed', 'allow 8.8.8.0/24'],
  ['b.example:22', ['9.9.9.9'], 'allowed', 'allow b.example:22'],
  ['c.example:443', [], 'refused', 'default deny'],
  ['8.8.8.8:443', [], 'allowed', 'allow 8.8.8.0/24'],
  ['9.9.9.9:443', [], 'refused', 'default deny'],
  ['9.9.9.9:53', [], 'allowed', 'resolver'],
  ['169.254.169.254', [], 'refused', 'metadata service'],
  ['localhost', [], 'refused', 'local name'],
])('%s at %j is %s by %s', (destination, addresses, verdict, rule) => {
  expect(ask(RULES, destination, addresses)).toMatchObject({ destination, verdict, rule })
})

test('an address needs a name for HTTPS where rules have names', () => {
  const rules = { deny: ['evil.example'] }
  expect(ask(rules, '9.9.9.9:443')).toMatchObject({ verdict: 'refused', rule: 'name needed' })
  expect(ask(rules, '9.9.9.9:80')).toMatchObject({ verdict: 'allowed', rule: 'default allow' })
  expect(ask(rules, '9.9.9.9:853')).toMatchObject({ verdict: 'refused', rule: 'DNS over TLS' })
  expect(ask(rules, 'x.example:853', ['9.9.9.9'])).toMatchObject({ verdict: 'refused', rule: 'DNS over TLS' })
  expect(ask(true, '9.9.9.9:443')).toMatchObject({ verdict: 'allowed' })
})

test('the addresses of a name are told one by one', () => {
  expect(ask(RULES, 'a.example:443', ['10.0.0.1', '9.9.9.9']).addresses).toEqual([
    { address: '10.0.0.1', verdict: 'refused', rule: 'private address' },
    { address: '9.9.9.9', verdict: 'allowed', rule: 'allow a.example' },
  ])
})

test('a port that no entry opens is explained with the entry that would', () => {
  expect(ask(RULES, 'b.example:25', ['9.9.9.9']).message).toBe(
    'Port 25 of b.example is refused: allow b.example:22 opens only ports 80, 443 and 22. Add "b.example:25" to "allow" in the network rules of this sandbox to open it.',
  )
})

test('an IPv6 address is out of reach on a host that forwards none', () => {
  const policy = compilePolicy(parseNetwork(true, { permit: [] }) as NetworkRecord, { permit: [], host: [] })
  const verdict = (text: string, ipv6: boolean) => explain(policy, parseDestination(text), [], { ipv6 })
  expect(verdict('2606::1', false)).toMatchObject({ verdict: 'refused', rule: 'no IPv6' })
  expect(verdict('fd00::1', false)).toMatchObject({ verdict: 'refused', rule: 'private address' })
  expect(verdict('2606::1', true)).toMatchObject({ verdict: 'allowed' })
  expect(verdict('1.1.1.1', false)).toMatchObject({ verdict: 'allowed' })
})

test('without a network everything is refused, with what to do', () => {
  expect(explainNone(parseDestination('a.example:1'))).toMatchObject({
    verdict: 'refused',
    rule: 'no network',
  })
})
