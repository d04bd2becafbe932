import { isIP, isIPv4 } from 'node:net'
import { expect, test } from 'vitest'
import { addressOfBytes, formatAddress, fromBytes, parseAddress, toBytes } from './address.ts'

test.each([
  ['1.2.3.4', '1.2.3.4'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['::ffff:1.2.3.4', '1.2.3.4'],
  ['::ffff:102:304', '1.2.3.4'],
  ['0:0:0:0:0:FFFF:1.2.3.4', '1.2.3.4'],
])('%s is the address %s', (text, canonical) => {
  const address = parseAddress(text)
  expect(address && formatAddress(address)).toBe(canonical)
})

test.each([
  '',
  '1',
  '1.2.3',
  '127.1',
  '2130706433',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '01.2.3.4',
  '1.2.3.4.',
  '1.2.3.256',
  ' 1.2.3.4',
  '1.2.3.4\n',
  '１.2.3.4',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  '12345::',
  'fe80::1%eth0',
  '[::1]',
  '1.2.3.4::',
  '::1.2.3.4:5',
  '::01.2.3.4',
])('%j is no address', (text) => {
  expect(parseAddress(text)).toBeNull()
})

test('what is written as an address is read as the same one, and other programs read it alike', () => {
  for (let n = 0; n < 2000; n++) {
    const bytes = Uint8Array.from({ length: n % 2 ? 4 : 16 }, () =>
      Math.random() < 0.5 ? 0 : Math.random() * 256,
    )
    const address = addressOfBytes(bytes)
    const text = formatAddress(address)
    expect(parseAddress(text)).toEqual(address)
    expect(isIP(text)).toBe(address.family)
    if (!isIPv4(text)) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
  }
})

test('a range has as many bytes as its family', () => {
  const range = { family: 6, first: 1n, last: 0x20010db8n << 96n } as const
  const bytes = toBytes(range)
  expect([bytes.first.length, bytes.last.length, bytes.last[0]]).toEqual([16, 16, 0x20])
  expect(fromBytes(bytes)).toEqual(range)
  const mapped = { family: 6, first: 0n, last: 0xffff_ffff_ffffn } as const
  expect(fromBytes(toBytes(mapped))).toEqual(mapped)
  expect(toBytes({ family: 4, first: 0n, last: 0xffffffffn }).last).toEqual(new Uint8Array(4).fill(255))
})
