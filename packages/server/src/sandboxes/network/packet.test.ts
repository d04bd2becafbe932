import { expect, test } from 'vitest'
import { parsePacket } from './packet.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

/** 198.18.0.16:40000 → 93.184.216.34:443, a SYN. */
const TCP4 = hex(`4500 003c 0000 4000 4006 0000 c612 0010 5db8 d822 9c40 01bb 0000 0000 0000 0000 5002`)
const UDP6 = hex(`6000 0000 0008 1140 fdca1550000000000000000000000010 26062800022000010000000000000001
  d431 0035 0008 0000`)

test('ports and addresses of whole packets', () => {
  expect(parsePacket(TCP4)).toEqual({
    protocol: 'tcp',
    destination: '93.184.216.34',
    sourcePort: 40_000,
    port: 443,
  })
  expect(parsePacket(UDP6)).toEqual({
    protocol: 'udp',
    destination: '2606:2800:220:1::1',
    sourcePort: 54_321,
    port: 53,
  })
})

test('IPv4 options are skipped, later fragments have no ports, other protocols neither', () => {
  const options = Buffer.concat([hex('46'), TCP4.subarray(1, 20), hex('01010101'), TCP4.subarray(20)])
  expect(parsePacket(options)).toMatchObject({ port: 443 })
  const fragment = Buffer.from(TCP4)
  fragment.writeUInt16BE(0x2001, 6)
  expect(parsePacket(fragment)).toMatchObject({ protocol: 'tcp', port: null, sourcePort: null })
  const gre = Buffer.from(TCP4)
  gre[9] = 47
  expect(parsePacket(gre)).toMatchObject({ protocol: 'other', port: null })
  gre[9] = 1
  expect(parsePacket(gre)).toMatchObject({ protocol: 'icmp', port: null })
})

test('IPv6 extension headers are walked, as many as an honest packet has', () => {
  const head = Buffer.from(UDP6.subarray(0, 40))
  const behind = (...extensions: Buffer[]) => {
    const first = Buffer.from(head)
    first[6] = extensions[0]!.readUInt8(8)
    const bodies = extensions.map((one, at) => {
      const body = Buffer.from(one.subarray(0, 8))
      body[0] = extensions[at + 1]?.readUInt8(8) ?? 17
      return body
    })
    return parsePacket(Buffer.concat([first, ...bodies, UDP6.subarray(40)]))
  }
  // The ninth byte says what kind of header it is.
  const hop = hex('0000 0000 0000 0000 00')
  const routing = hex('0000 0000 0000 0000 2b')
  const whole = hex('0000 0001 0000 0000 2c')
  const later = hex('0000 0009 0000 0000 2c')
  expect(behind(hop, routing, whole)).toMatchObject({ protocol: 'udp', port: 53 })
  expect(behind(hop, later)).toMatchObject({ protocol: 'udp', port: null })
  expect(behind(...Array<Buffer>(9).fill(hop))).toMatchObject({ protocol: 'other', port: null })
})

test('what is cut off or random is never read beyond its end', () => {
  for (const packet of [TCP4, UDP6])
    for (let length = 0; length < packet.length; length++) {
      const headers = parsePacket(packet.subarray(0, length))
      const whole = packet === TCP4 ? 20 : 40
      if (length < whole) expect(headers).toBeNull()
      else expect(headers?.port ?? null).toBe(length < whole + 4 ? null : packet === TCP4 ? 443 : 53)
    }
  for (let seed = 0; seed < 20_000; seed++) {
    const bytes = Buffer.from(Array.from({ length: seed % 90 }, (_, at) => (seed * 31 + at * at * 7) & 255))
    if (bytes.length > 0) bytes[0] = (seed % 2 === 0 ? 0x40 : 0x60) | (seed & 15)
    expect(() => parsePacket(bytes)).not.toThrow()
  }
  for (const first of [0x44, 0x4f, 0x00, 0x50, 0xff]) {
    const odd = Buffer.from(TCP4.subarray(0, 24))
    odd[0] = first
    expect(parsePacket(odd)).toBeNull()
  }
})
