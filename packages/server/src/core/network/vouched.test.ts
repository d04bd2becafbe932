import { describe, expect, test } from 'vitest'
import { parseAddress } from './address.ts'
import { canVouch } from './builtin.ts'
import { compilePolicy } from './policy.ts'
import { parseNetwork, permitRanges, showNetwork } from './rules.ts'
import type { NetworkRecord } from './types.ts'

const rules = (vouched: string[]): NetworkRecord => ({
  default: 'deny',
  allow: ['mirror.example', 'registry.example:4873'],
  deny: [],
  learn: false,
  uploadBytesPerSecond: null,
  downloadBytesPerSecond: null,
  connections: null,
  vouched,
})

const compile = (record: NetworkRecord, host: string[] = []) =>
  compilePolicy(record, { permit: permitRanges(record.vouched ?? []), host })

describe('an address that the operator vouches for', () => {
  const policy = compile(rules(['10.0.0.5', 'fd00::5']))

  test.each([
    ['mirror.example', '10.0.0.5', true],
    ['mirror.example', 'fd00::5', true],
    ['registry.example', '10.0.0.5', true],
    ['mirror.example', '10.0.0.6', false],
    ['mirror.example', '93.184.216.34', true],
    ['other.example', '10.0.0.5', false],
    ['mirror.example', '127.0.0.1', false],
    ['mirror.example', '169.254.169.254', false],
  ])('%s at %s: %s', (name, address, allowed) => {
    expect(policy.judgePinned(name, address).allowed).toBe(allowed)
  })

  test('is not reached as such, and no packet goes there unless a name of it was asked for', () => {
    expect(policy.judgeAddress('10.0.0.5').allowed).toBe(false)
    expect(policy.packets.allow4).toEqual([])
  })

  test("is refused all the same where it is the host's own", () => {
    expect(compile(rules(['10.0.0.5']), ['10.0.0.5']).judgePinned('mirror.example', '10.0.0.5').allowed).toBe(
      false,
    )
  })

  test('is refused without the word of the operator', () => {
    expect(compile(rules([])).judgePinned('mirror.example', '10.0.0.5').allowed).toBe(false)
  })
})

test.each([
  ['10.0.0.5', true],
  ['203.0.113.80', true],
  ['fd00::5', true],
  ['93.184.216.34', false],
  ['127.0.0.1', false],
  ['::1', false],
  ['0.0.0.0', false],
  ['169.254.1.1', false],
  ['169.254.169.254', false],
  ['100.100.100.200', false],
  ['fd00:ec2::254', false],
  ['fe80::1', false],
  ['224.0.0.1', false],
])('nobody need or may vouch for %s: %s', (address, can) => {
  expect(canVouch(parseAddress(address)!)).toBe(can)
})

test('the API neither takes nor shows it', () => {
  const asked = { allow: ['mirror.example'], vouched: ['10.0.0.5'] }
  expect(parseNetwork(asked, { permit: [] })).not.toHaveProperty('vouched')
  expect(showNetwork(rules(['10.0.0.5']))).not.toHaveProperty('vouched')
})
