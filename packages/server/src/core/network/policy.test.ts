import type { NetworkAsked } from '@caisson/protocol/resources'
import { describe, expect, test } from 'vitest'
import { type Address, type Family, formatAddress, fromBytes, parseAddress, type Range } from './address.ts'
import { naive } from './naive.test-kit.ts'
import { compilePolicy } from './policy.ts'
import { type Cidr, covers, formatCidr, parseCidr, rangeOf } from './ranges.ts'
import { RESERVED4, RESERVED6 } from './reserved.ts'
import { parseNetwork, permitRanges } from './rules.ts'
import type { NetworkRecord } from './types.ts'

function policyOf(asked: NetworkAsked, around: { permit?: string[]; host?: string[] } = {}) {
  const permit = around.permit ?? []
  const record = parseNetwork(asked, { permit })
  if (record === null) throw new Error('no network')
  return compilePolicy(record, { permit: permitRanges(permit), host: around.host ?? [] })
}

/** `+` or `-` and the rule. */
const address = (policy: ReturnType<typeof policyOf>, text: string) => brief(policy.judgeAddress(text))
const brief = ({ allowed, rule }: { allowed: boolean; rule: string }) => `${allowed ? '+' : '-'} ${rule}`

describe('the most specific entry decides', () => {
  const policy = policyOf({
    default: 'deny',
    allow: [
      '1.2.0.0/16',
      '1.2.3.4',
      'good.example',
      '*.a.example',
      'x.b.a.example',
      'bad.example:22',
      '2a00::/16',
    ],
    deny: ['1.2.3.0/24', '1.2.4.4', '*.b.a.example', 'no.a.example', '2a00:1::/32'],
  })

  test.each([
    ['1.2.0.0', '+ allow 1.2.0.0/16'],
    ['1.2.255.255', '+ allow 1.2.0.0/16'],
    ['1.3.0.0', '- default deny'],
    ['1.2.3.3', '- deny 1.2.3.0/24'],
    ['1.2.3.4', '+ allow 1.2.3.4'],
    ['1.2.4.4', '- deny 1.2.4.4'],
    ['2a00:2::1', '+ allow 2a00::/16'],
    ['2a00:1::1', '- deny 2a00:1::/32'],
    ['::ffff:1.2.3.4', '+ allow 1.2.3.4'],
    ['127.1', '- no address'],
  ])('address %s: %s', (text, expected) => {
    expect(address(policy, text)).toBe(expected)
  })

  test.each([
    ['good.example', '+ allow good.example'],
    ['www.good.example', '- default deny'],
    ['a.example', '- default deny'],
    ['w.a.example', '+ allow *.a.example'],
    ['v.w.a.example', '+ allow *.a.example'],
    ['no.a.example', '- deny no.a.example'],
    ['w.b.a.example', '- deny *.b.a.example'],
    ['x.b.a.example', '+ allow x.b.a.example'],
    ['bad.example', '+ allow bad.example:22'],
    ['xa.example', '- default deny'],
    ['localhost', '- local name'],
    ['metadata.google.internal', '- local name'],
    ['example', '- local name'],
  ])('name %s: %s', (name, expected) => {
    expect(brief(policy.judgeName(name))).toBe(expected)
  })

  test.each([
    ['good.example', '1.2.3.3', '+ allow good.example'],
    ['good.example', '9.9.9.9', '+ allow good.example'],
    ['good.example', '1.2.4.4', '- deny 1.2.4.4'],
    ['good.example', '10.0.0.1', '- private address'],
    ['good.example', '169.254.169.254', '- metadata service'],
    ['good.example', '::1', '- loopback address'],
    ['evil.example', '1.2.3.4', '- default deny'],
  ])('%s at %s: %s', (name, at, expected) => {
    expect(brief(policy.judgePinned(name, at))).toBe(expected)
  })
})

test('a name that is allowed by default only goes where addresses may', () => {
  const policy = policyOf({ deny: ['1.2.3.0/24', 'evil.example'] })
  expect(brief(policy.judgePinned('x.example', '1.2.3.4'))).toBe('- deny 1.2.3.0/24')
  expect(brief(policy.judgePinned('x.example', '1.2.4.4'))).toBe('+ default allow')
  expect(brief(policy.judgePinned('evil.example', '1.2.4.4'))).toBe('- deny evil.example')
})

test('ports beside those of HTTP and TLS are opened by entries that no denial separates from the name', () => {
  const policy = policyOf({
    allow: [
      '*.example:22',
      '*.a.example:25',
      'x.a.example:2222',
      'x.a.example:443',
      'y.b.example',
      '*.c.example:9',
    ],
    deny: ['*.b.example', 'no.c.example'],
  })
  expect(policy.portsOf('x.a.example')).toEqual([22, 25, 2222])
  expect(policy.portsOf('y.b.example')).toEqual([])
  expect(policy.portsOf('no.c.example')).toEqual([])
  expect(policy.portsOf('other.test')).toEqual([])
  expect(policy.judgeName('x.a.example').rule).toBe('allow x.a.example:2222')
})

test('a range of all addresses is the default of its family', () => {
  const only4 = policyOf({ allow: ['0.0.0.0/0'] })
  expect(address(only4, '8.8.8.8')).toBe('+ allow 0.0.0.0/0')
  expect(address(only4, '2606::1')).toBe('- default deny')
  expect(address(only4, '10.0.0.1')).toBe('- private address')
  expect(only4.packets).toMatchObject({ named4: [], named6: [], allow6: [], byName: false })
  expect(only4.judgeName('a.example').allowed).toBe(true)
  expect(only4.judgePinned('a.example', '2606::1').allowed).toBe(false)
  const no6 = policyOf({ deny: ['::/0'] })
  expect(address(no6, '2606::1')).toBe('- deny ::/0')
  expect(address(no6, '8.8.8.8')).toBe('+ default allow')
})

test('nothing may be reached with an empty allow list', () => {
  const policy = policyOf({ allow: [] })
  expect(policy.packets).toEqual({ allow4: [], allow6: [], named4: [], named6: [], byName: false })
  expect(policy.judgeName('example.com').allowed).toBe(false)
})

test('learning lets everything public pass but what is denied', () => {
  const policy = policyOf({ allow: ['a.example'], deny: ['evil.example', '9.9.9.9'], learn: true })
  expect(policy.packets.byName).toBe(true)
  expect(brief(policy.judgeName('b.example'))).toBe('+ learn')
  expect(address(policy, '8.8.8.8')).toBe('+ learn')
  expect(address(policy, '9.9.9.9')).toBe('- deny 9.9.9.9')
  expect(address(policy, '10.0.0.1')).toBe('- private address')
  expect(policy.judgeName('evil.example').allowed).toBe(false)
  expect(policy.judgeName('localhost').allowed).toBe(false)
})

test('names decide when any entry is a name', () => {
  expect(policyOf(true).packets.byName).toBe(false)
  expect(policyOf({ deny: ['1.2.3.4'] }).packets.byName).toBe(false)
  expect(policyOf({ deny: ['*.example.com'] }).packets.byName).toBe(true)
})

describe('what is private', () => {
  test.each([...RESERVED4, ...RESERVED6])('$range stays closed whatever the rules say', ({ range }) => {
    const { family, first, last } = parseCidr(range) as Cidr
    const wide = { 4: ['0.0.0.0/1', '128.0.0.0/1'], 6: ['::/1', '8000::/1'] }[family]
    for (const policy of [
      policyOf(true),
      policyOf({ learn: true }),
      policyOf({ allow: wide.filter((one) => one !== range && one !== '8000::/1') }),
    ]) {
      for (const value of [first, last])
        expect(policy.judgeAddress(formatAddress({ family, value })).allowed).toBe(false)
      const packets = [...policy.packets.allow4, ...policy.packets.allow6].map(fromBytes)
      expect(packets.some((one) => one.family === family && one.first <= last && first <= one.last)).toBe(
        false,
      )
    }
  })

  test('is open when the operator permits it and a rule names it, and not before', () => {
    const around = { permit: ['10.1.0.0/16', '169.254.0.0/16'] }
    expect(address(policyOf(true, around), '10.1.2.3')).toBe('- private address')
    expect(policyOf(true, around).judgeAddress('10.1.2.3').message).toContain('Add "10.1.2.3" to "allow"')
    expect(address(policyOf({ allow: ['0.0.0.0/1'] }, around), '10.1.2.3')).toBe('- private address')
    const policy = policyOf(
      { allow: ['10.0.0.0/8', '169.254.0.0/16', 'git.example'], deny: ['10.1.9.0/24'] },
      around,
    )
    expect(address(policy, '10.1.2.3')).toBe('+ allow 10.0.0.0/8')
    expect(address(policy, '10.2.2.3')).toBe('- private address')
    expect(address(policy, '10.1.9.3')).toBe('- deny 10.1.9.0/24')
    expect(address(policy, '169.254.1.1')).toBe('+ allow 169.254.0.0/16')
    expect(address(policy, '169.254.169.254')).toBe('- metadata service')
    const names = policyOf({ allow: ['git.example'] }, around)
    expect(brief(names.judgePinned('git.example', '10.1.2.3'))).toBe('+ allow git.example')
    expect(brief(names.judgePinned('git.example', '10.2.2.3'))).toBe('- private address')
    const byDefault = policyOf({ deny: ['evil.example'] }, around)
    expect(brief(byDefault.judgePinned('rebind.example', '10.1.2.3'))).toBe('- private address')
  })

  test('is told with the best word', () => {
    const policy = policyOf(true)
    expect(address(policy, '169.254.169.254')).toBe('- metadata service')
    expect(address(policy, 'fd00:ec2::254')).toBe('- metadata service')
    expect(address(policy, 'fd00::1')).toBe('- private address')
    expect(address(policy, '64:ff9b::a00:1')).toBe('- NAT64 address')
    expect(address(policy, '::ffff:10.0.0.1')).toBe('- private address')
  })
})

test('no rule opens the host’s own addresses', () => {
  const around = { host: ['93.184.216.34', '2606:2800::1', 'fe80::1%eth0', 'nonsense'] }
  const policy = policyOf(
    { allow: ['93.184.216.34', '93.184.216.0/24', '2606:2800::1', 'me.example'] },
    around,
  )
  expect(address(policy, '93.184.216.34')).toBe('- host address')
  expect(address(policy, '93.184.216.35')).toBe('+ allow 93.184.216.0/24')
  expect(address(policy, '2606:2800::1')).toBe('- host address')
  expect(brief(policy.judgePinned('me.example', '93.184.216.34'))).toBe('- host address')
  expect(
    policy.packets.allow4
      .map(fromBytes)
      .some((range) => covers(range, parseAddress('93.184.216.34') as Address)),
  ).toBe(false)
})

test('a refusal says what would change it', () => {
  const policy = policyOf({ allow: ['a.example'], deny: ['b.example'] })
  expect(policy.judgeName('c.example').message).toBe(
    'c.example is refused: no rule allows this name. Add "c.example" to "allow" in the network rules of this sandbox to open it.',
  )
  expect(policy.judgeName('b.example').message).toContain('the rule "deny b.example"')
  expect(policy.judgeAddress('8.8.8.8').message).toContain('Add "8.8.8.8" to "allow"')
  expect(policy.judgeAddress('10.0.0.1').message).toContain('it is a private address')
})

describe('random rules', () => {
  const NAMES = ['a.test', 'b.a.test', 'c.b.a.test', 'd.c.b.a.test', 'x.test', 'test.a', 'aa.test']

  test('mean the same as when they are judged one by one, at every edge of every range', () => {
    let compared = 0
    for (let n = 0; n < 400; n++) {
      const { record, permit, host } = randomRules()
      const policy = compilePolicy(record, {
        permit: permitRanges(permit.map(formatCidr)),
        host: host.map(formatAddress),
      })
      const expected = naive(record, permit, host)
      const packets = [...policy.packets.allow4, ...policy.packets.allow6].map(fromBytes)
      for (const one of probes(record, permit, host, packets)) {
        const text = formatAddress(one)
        const allowed = expected.address(one)
        const found = {
          text,
          judged: policy.judgeAddress(text).allowed,
          kernel: packets.some((range) => covers(range, one)),
        }
        expect(found, JSON.stringify([record, permit.map(formatCidr), host.map(formatAddress)])).toEqual({
          text,
          judged: allowed,
          kernel: allowed,
        })
        compared++
      }
      for (const name of NAMES) expect(policy.judgeName(name).allowed).toBe(expected.name(name))
    }
    expect(compared).toBeGreaterThan(10_000)
  })

  test('become ranges that are ascending, disjoint and not adjacent, and the named among the allowed', () => {
    for (let n = 0; n < 200; n++) {
      const { record, permit } = randomRules()
      const { packets } = compilePolicy(record, { permit: permitRanges(permit.map(formatCidr)), host: [] })
      for (const list of [packets.allow4, packets.allow6, packets.named4, packets.named6]) {
        const ranges = list.map(fromBytes)
        for (const [at, range] of ranges.entries()) {
          expect(range.first <= range.last).toBe(true)
          const before = ranges[at - 1]
          if (before) expect(range.first > before.last + 1n).toBe(true)
        }
      }
      const allowed = [...packets.allow4, ...packets.allow6].map(fromBytes)
      for (const one of [...packets.named4, ...packets.named6].map(fromBytes)) {
        expect(
          allowed.some(
            (range) => range.family === one.family && range.first <= one.first && one.last <= range.last,
          ),
        ).toBe(true)
      }
    }
  })

  function randomRules(): { record: NetworkRecord; permit: Cidr[]; host: Address[] } {
    const lists = { allow: new Set<string>(), deny: new Set<string>() }
    for (let n = random(12); n > 0; n--) {
      const [to, other] = random(2) ? [lists.allow, lists.deny] : [lists.deny, lists.allow]
      const text = random(3)
        ? formatCidr(randomRange())
        : `${random(2) ? '*.' : ''}${NAMES[random(NAMES.length)]}`
      if (!other.has(text)) to.add(text)
    }
    const record: NetworkRecord = {
      default: random(2) ? 'allow' : 'deny',
      allow: [...lists.allow],
      deny: [...lists.deny],
      learn: random(5) === 0,
      uploadBytesPerSecond: null,
      downloadBytesPerSecond: null,
      connections: null,
    }
    return {
      record,
      permit: Array.from({ length: random(3) }, randomRange),
      host: Array.from({ length: random(2) }, () => ({
        family: 4 as Family,
        value: randomRange().first & 0xffffffffn,
      })),
    }
  }

  /** Near one another, so that they overlap; half of them about private ranges. */
  function randomRange(): Cidr {
    const family = random(2) ? 4 : 6
    const bases4 = [
      '9.255.255.0',
      '10.0.0.0',
      '10.0.1.0',
      '172.16.0.0',
      '93.184.0.0',
      '93.184.216.0',
      '169.254.169.254',
      '0.0.0.0',
    ]
    const bases6 = [
      '2001:db8::',
      '2001:db7:ffff::',
      '2606::',
      'fd00:ec2::254',
      'fd00::',
      '2001::',
      '::',
      '1fff:ffff::',
    ]
    const bases = family === 4 ? bases4 : bases6
    const base = parseAddress(bases[random(bases.length)] ?? '::') as Address
    const bits = family === 4 ? 32 : 128
    return rangeOf(
      { family, value: base.value + BigInt(random(3)) },
      random(4) ? bits - random(bits / 2) : random(bits + 1),
    )
  }

  function probes(record: NetworkRecord, permit: Cidr[], host: Address[], packets: Range[]): Address[] {
    const texts = [...record.allow, ...record.deny].filter((text) => parseAddress(text.split('/')[0] ?? ''))
    const ranges = [
      ...texts.map(
        (text) => parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`) as Cidr,
      ),
      ...permit,
      ...packets,
      ...host.map((one) => rangeOf(one)),
    ]
    return ranges.flatMap(({ family, first, last }) => {
      const max = family === 4 ? 0xffff_ffffn : (1n << 128n) - 1n
      const values = [first - 1n, first, last, last + 1n, first + (last - first) / 2n]
      return values
        .filter((value) => value >= 0n && value <= max && !(family === 6 && value >> 32n === 0xffffn))
        .map((value) => ({ family, value }))
    })
  }

  function random(below: number): number {
    return Math.floor(Math.random() * below)
  }
})

test('a thousand entries on each side compile at once', () => {
  const some = (offset: number) =>
    Array.from({ length: 1000 }, (_, n) =>
      n % 2 ? `93.${offset}.${n >> 8}.${n & 255}` : `h${n}.x${offset}.example`,
    )
  const policy = policyOf({ allow: some(1), deny: some(2) })
  expect(policy.packets.allow4.length).toBe(500)
  expect(policy.judgeName('h2.x1.example').allowed).toBe(true)
})
