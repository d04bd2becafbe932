import { addressOfBytes, formatAddress } from '../../core/network/address.ts'

/** What the headers of an IP packet say. */
export interface PacketHeaders {
  protocol: 'tcp' | 'udp' | 'icmp' | 'other'
  destination: string
  /** null where the protocol has no ports, or the packet does not show them. */
  sourcePort: number | null
  port: number | null
}

const PROTOCOLS: Record<number, PacketHeaders['protocol']> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp' }

/** IPv6 headers that stand before the one of the protocol: hop-by-hop, routing, destination options. */
const EXTENSIONS = [0, 43, 60]
const FRAGMENT = 44
/** More of them than this is nobody's honest packet. */
const MAX_EXTENSIONS = 8

/** Reads the headers of a packet that a guest made. @returns null for what is no whole IP header. */
export function parsePacket(data: Uint8Array): PacketHeaders | null {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const version = bytes.length > 0 ? bytes.readUInt8(0) >> 4 : 0
  if (version === 4) return parse4(bytes)
  return version === 6 ? parse6(bytes) : null
}

function parse4(bytes: Buffer): PacketHeaders | null {
  if (bytes.length < 20) return null
  const length = (bytes.readUInt8(0) & 15) * 4
  if (length < 20 || length > bytes.length) return null
  const isFirst = (bytes.readUInt16BE(6) & 0x1fff) === 0
  return headers(bytes.subarray(16, 20), bytes.readUInt8(9), isFirst ? bytes.subarray(length) : null)
}

function parse6(bytes: Buffer): PacketHeaders | null {
  if (bytes.length < 40) return null
  const destination = bytes.subarray(24, 40)
  let next = bytes.readUInt8(6)
  let at = 40
  for (let count = 0; count < MAX_EXTENSIONS; count++) {
    if (next !== FRAGMENT && !EXTENSIONS.includes(next)) return headers(destination, next, bytes.subarray(at))
    if (at + 8 > bytes.length) break
    if (next === FRAGMENT && bytes.readUInt16BE(at + 2) >> 3 !== 0)
      return headers(destination, bytes.readUInt8(at), null)
    const length = next === FRAGMENT ? 8 : (bytes.readUInt8(at + 1) + 1) * 8
    next = bytes.readUInt8(at)
    at += length
  }
  return { protocol: 'other', destination: text(destination), sourcePort: null, port: null }
}

/** @param payload null: the packet is a later piece of one. */
function headers(destination: Buffer, number: number, payload: Buffer | null): PacketHeaders {
  const protocol = PROTOCOLS[number] ?? 'other'
  const shown = (protocol === 'tcp' || protocol === 'udp') && payload !== null && payload.length >= 4
  return {
    protocol,
    destination: text(destination),
    sourcePort: shown ? payload.readUInt16BE(0) : null,
    port: shown ? payload.readUInt16BE(2) : null,
  }
}

function text(address: Uint8Array): string {
  return formatAddress(addressOfBytes(address))
}
