import { SandboxError } from '@caisson/protocol/errors'
import { expect, test } from 'vitest'
import { compilePolicy } from '../../core/network/policy.ts'
import { parseNetwork, showNetwork } from '../../core/network/rules.ts'
import { type Egress, fromNetwork, internetOf, toNetwork } from './network.ts'

const config = { permit: [] }

/** What can be reached by these rules, when they are in force. */
function judge(egress: Egress): (destination: string) => boolean {
  const record = parseNetwork(toNetwork(egress), config)
  if (record === null) return () => false
  const policy = compilePolicy(record, { permit: [], host: [] })
  return (destination) =>
    (/[a-z]/.test(destination) ? policy.judgeName(destination) : policy.judgeAddress(destination)).allowed
}

test('without rules everything public can be reached', () => {
  expect(toNetwork({})).toBe(true)
  expect(toNetwork({ allow_internet_access: true })).toBe(true)
  expect(toNetwork({ allowOut: [], denyOut: [] })).toBe(true)
  expect(toNetwork({ allowOut: ['8.8.8.8'] })).toBe(true)
})

test('denying all leaves no network, however it is said', () => {
  expect(toNetwork({ allow_internet_access: false })).toBe(false)
  expect(toNetwork({ denyOut: ['0.0.0.0/0'] })).toBe(false)
  expect(toNetwork({ denyOut: ['0.0.0.0/0', '8.8.8.8'] })).toBe(false)
})

test('what is allowed wins over what is denied, whichever is more specific', () => {
  const within = judge({ allowOut: ['8.8.0.0/16'], denyOut: ['8.8.8.8', '0.0.0.0/0'] })
  expect([within('8.8.8.8'), within('8.8.4.4'), within('1.1.1.1')]).toEqual([true, true, false])
  const around = judge({ allowOut: ['8.8.8.8'], denyOut: ['8.8.0.0/16'] })
  expect([around('8.8.8.8'), around('8.8.4.4'), around('1.1.1.1')]).toEqual([true, false, true])
  const same = judge({ allowOut: ['8.8.8.8/32'], denyOut: ['8.8.8.8'] })
  expect([same('8.8.8.8'), same('1.1.1.1')]).toEqual([true, true])
  const all = judge({ allowOut: ['0.0.0.0/0'], denyOut: ['0.0.0.0/0', '8.8.8.8'] })
  expect([all('8.8.8.8'), all('1.1.1.1')]).toEqual([true, true])
  const nested = judge({ allowOut: ['8.8.0.0/16'], denyOut: ['8.8.8.0/24', '8.0.0.0/8'] })
  expect([nested('8.8.8.8'), nested('8.9.0.1'), nested('9.0.0.1')]).toEqual([true, false, true])
})

test('a single denied address does not win over an allowed name', () => {
  const record = parseNetwork(
    toNetwork({ allowOut: ['*.example.com'], denyOut: ['0.0.0.0/0', '93.184.216.34'] }),
    config,
  )
  const policy = compilePolicy(record!, { permit: [], host: [] })
  expect(policy.judgePinned('www.example.com', '93.184.216.34').allowed).toBe(true)
  expect(policy.judgeName('example.org').allowed).toBe(false)
})

test('allow_internet_access false denies all but what is allowed', () => {
  const judged = judge({ allow_internet_access: false, allowOut: ['1.1.1.1', 'example.com'] })
  expect([judged('1.1.1.1'), judged('8.8.8.8'), judged('example.com'), judged('example.org')]).toEqual([
    true,
    false,
    true,
    false,
  ])
})

test('what is shown means the same when it is asked for again', () => {
  for (const egress of [
    {},
    { allow_internet_access: false },
    { denyOut: ['0.0.0.0/0'], allowOut: ['1.1.1.1', 'example.com', '*.example.org'] },
    { denyOut: ['8.8.0.0/16'], allowOut: ['8.8.8.8'] },
  ] satisfies Egress[]) {
    const asked = toNetwork(egress)
    const shown = showNetwork(parseNetwork(asked, config))
    expect(showNetwork(parseNetwork(toNetwork(fromNetwork(shown)), config))).toEqual(shown)
  }
})

test('the internet as a whole is told as on, off, or neither', () => {
  const told = (egress: Egress) => internetOf(showNetwork(parseNetwork(toNetwork(egress), config)))
  expect(told({})).toBe(true)
  expect(told({ allow_internet_access: false })).toBe(false)
  expect(told({ denyOut: ['8.8.8.8'] })).toBeNull()
  expect(told({ denyOut: ['0.0.0.0/0'], allowOut: ['8.8.8.8'] })).toBeNull()
})

test.each<[string, Egress, string]>([
  ['a name without denying all', { allowOut: ['example.com'] }, 'allowOut'],
  ['a denied name', { denyOut: ['example.com'] }, 'denyOut'],
  ['what is no destination', { allowOut: ['http://example.com/'] }, 'allowOut[0]'],
  ['rules for requests', { rules: { 'example.com': [] } }, 'rules'],
  ['a proxy', { egressProxy: { address: 'proxy.example.com:1080' } }, 'egressProxy'],
])('%s is refused', (_, egress, path) => {
  const refused = (() => {
    try {
      return toNetwork(egress)
    } catch (error) {
      return error
    }
  })()
  expect(SandboxError.is(refused, 'invalid_request') && refused.details.issues[0]?.path).toBe(path)
})

test('empty rules and no proxy are nothing to refuse', () => {
  expect(toNetwork({ rules: {}, egressProxy: null })).toBe(true)
})
