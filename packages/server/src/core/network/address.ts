import type { AddressRange } from './types.ts'

export type Family = 4 | 6

/** An IP address as a number. One that is IPv4 mapped into IPv6 is an IPv4 address here: there is one form of each. */
export interface Address {
  readonly family: Family
  readonly value: bigint
}

/** First and last address, both included. */
export interface Range {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

export const BITS = { 4: 32, 6: 128 } as const

/** Where IPv4 addresses are mapped in IPv6: ::ffff:0:0/96. */
const MAPPED = 0xffffn << 32n

/**
 * Only the forms that everybody reads alike: four decimal numbers without leading zeros, or IPv6 without a zone.
 * What inet_aton takes besides (`127.1`, `0x7f.1`, `2130706433`) is no address.
 * @returns null for anything else
 */
export function parseAddress(text: string): Address | null {
  const v4 = parseV4(text)
  if (v4 !== null) return { family: 4, value: v4 }
  const v6 = text.includes(':') ? parseV6(text) : null
  return v6 === null ? null : unmapped(v6)
}

/** Dotted decimal, or IPv6 as RFC 5952 writes it. */
export function formatAddress({ family, value }: Address): string {
  return family === 4 ? formatV4(value) : formatV6(value)
}

/** Of the wire: 4 or 16 bytes. */
export function addressOfBytes(bytes: Uint8Array): Address {
  return bytes.length === 4 ? { family: 4, value: numberOf(bytes) } : unmapped(numberOf(bytes))
}

/** A range as the kernel is told it. */
export function toBytes({ family, first, last }: Range): AddressRange {
  return { first: bytesOf(family, first), last: bytesOf(family, last) }
}

/** The other way round. The ends of a range may be mapped addresses without the range being one of IPv4. */
export function fromBytes({ first, last }: AddressRange): Range {
  return { family: first.length === 4 ? 4 : 6, first: numberOf(first), last: numberOf(last) }
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

function bytesOf(family: Family, value: bigint): Uint8Array {
  const bytes = new Uint8Array(BITS[family] / 8)
  let rest = value
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}

function unmapped(value: bigint): Address {
  return value >> 32n === MAPPED >> 32n ? { family: 4, value: value & 0xffffffffn } : { family: 6, value }
}

function parseV4(text: string): bigint | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    value = (value << 8n) | BigInt(part)
  }
  return value
}

function parseV6(text: string): bigint | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [head, tail] = halves.map(groupsOf)
  if (!head || tail === null) return null
  if (tail === undefined) return head.length === 8 ? join(head) : null
  // "::" stands for at least one group.
  const missing = 8 - head.length - tail.length
  return missing >= 1 ? join([...head, ...Array<bigint>(missing).fill(0n), ...tail]) : null
}

/** The 16-bit groups of one side of "::". The last may be an IPv4 address. */
function groupsOf(text: string, side: number, sides: string[]): bigint[] | null {
  if (text === '') return sides.length === 2 ? [] : null
  const parts = text.split(':')
  const groups: bigint[] = []
  for (const [at, part] of parts.entries()) {
    const v4 = at === parts.length - 1 && side === sides.length - 1 ? parseV4(part) : null
    if (v4 !== null) groups.push(v4 >> 16n, v4 & 0xffffn)
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`))
    else return null
  }
  return groups
}

function join(groups: bigint[]): bigint {
  return groups.reduce((value, group) => (value << 16n) | group, 0n)
}

function formatV4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.')
}

function formatV6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => (value >> BigInt(112 - 16 * at)) & 0xffffn)
  const zeros = longestZeros(groups)
  const text = (part: bigint[]) => part.map((group) => group.toString(16)).join(':')
  if (zeros.length < 2) return text(groups)
  return `${text(groups.slice(0, zeros.start))}::${text(groups.slice(zeros.start + zeros.length))}`
}

/** The first of the longest runs, as RFC 5952 wants it. */
function longestZeros(groups: bigint[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0n) length++
    if (length > best.length) best = { start, length }
  }
  return best
}
