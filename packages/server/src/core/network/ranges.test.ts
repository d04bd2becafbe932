import { expect, test } from 'vitest'
import { parseAddress } from './address.ts'
import { type Cidr, covers, formatCidr, intersect, merge, parseCidr, subtract } from './ranges.ts'
import { RESERVED4, RESERVED6 } from './reserved.ts'

const range = (text: string) => parseCidr(text) as Cidr

test.each([
  ['1.2.0.0/16', '1.2.0.0/16'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['1.2.3.4/32', '1.2.3.4'],
  ['2001:DB8::/32', '2001:db8::/32'],
  ['::ffff:1.2.3.0/120', '1.2.3.0/24'],
])('%s is the range %s', (text, canonical) => {
  expect(formatCidr(range(text))).toBe(canonical)
})

test.each([
  ['1.2.3.4/16', 'write "1.2.0.0/16"'],
  ['1.2.3.4/33', 'prefix length between 0 and 32'],
  ['1.2.3.4/', 'prefix length'],
  ['1.2.3.4/08', 'prefix length'],
  ['1.2.3.4/ 8', 'prefix length'],
  ['::ffff:0:0/95', 'prefix length'],
  ['2001:db8::1/32', 'write "2001:db8::/32"'],
  ['1.2/16', 'is no range'],
  ['/8', 'is no range'],
])('%s is refused: %s', (text, message) => {
  expect(parseCidr(text)).toContain(message)
})

test('neighbours and overlapping ranges become one', () => {
  const merged = merge(['10.0.1.0/24', '10.0.0.0/24', '10.0.0.128/25', '10.0.3.0/24'].map(range))
  expect(merged).toEqual([{ ...range('10.0.0.0/23'), prefix: 24 }, range('10.0.3.0/24')])
})

test('subtracting and intersecting split a range without loss', () => {
  const whole = range('10.0.0.0/28')
  const parts = merge([range('10.0.0.0/32'), range('10.0.0.4/30'), range('10.0.0.15/32')])
  const size = (ranges: { first: bigint; last: bigint }[]) =>
    ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n)
  expect(size(subtract(whole, parts))).toBe(10n)
  expect(size(intersect(whole, parts))).toBe(6n)
  expect(merge([...subtract(whole, parts), ...intersect(whole, parts)])).toHaveLength(1)
  expect(subtract(whole, [range('10.0.0.0/8')])).toEqual([])
  expect(subtract(range('::/96'), [range('0.0.0.0/0')])).toHaveLength(1)
})

test.each([
  ['IPv4', RESERVED4],
  ['IPv6', RESERVED6],
])('the reserved ranges of %s are canonical, disjoint and ascending', (_, rows) => {
  const ranges = rows.map((row) => range(row.range))
  expect(ranges.map(formatCidr).map((text) => (text.includes('/') ? text : `${text}/32`))).toEqual(
    rows.map((row) => row.range),
  )
  for (const [at, one] of ranges.entries()) {
    const before = ranges[at - 1]
    if (before) expect(one.first > before.last).toBe(true)
  }
})

test('all of IPv6 but global unicast is reserved', () => {
  const ranges = RESERVED6.map((row) => range(row.range))
  const reserved = (text: string) => {
    const address = parseAddress(text)
    return address !== null && ranges.some((one) => covers(one, address))
  }
  for (const text of [
    '::',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::1',
    '100::1',
    '1fff::1',
    '4000::',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
    '2001::1',
    '2002:808:808::1',
    '5f00::1',
  ]) {
    expect([text, reserved(text)]).toEqual([text, true])
  }
  for (const text of ['2000::1', '2001:200::1', '2606:4700::1111', '2a00:1450::1', '3ffe::1']) {
    expect([text, reserved(text)]).toEqual([text, false])
  }
})
