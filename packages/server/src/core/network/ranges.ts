import { type Address, BITS, type Family, formatAddress, parseAddress, type Range } from './address.ts'

/** A range that CIDR notation names. */
export interface Cidr extends Range {
  readonly prefix: number
}

/**
 * `1.2.0.0/16`, `2001:db8::/32`. Bits after the prefix must be zero: `1.2.3.4/16` might mean the address or the network.
 * @returns the range, or what is wrong in words that follow the text
 */
export function parseCidr(text: string): Cidr | string {
  const [, host = '', digits = ''] = /^([^/]*)\/(.*)$/.exec(text) ?? []
  const address = parseAddress(host)
  if (address === null) return 'is no range such as "192.0.2.0/24" or "2001:db8::/32"'
  const mapped = address.family === 4 && host.includes(':')
  const prefix = /^(0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) - (mapped ? 96 : 0) : -1
  const bits = BITS[address.family]
  if (prefix < 0 || prefix > bits) return `has no prefix length between 0 and ${bits} after the "/"`
  const range = rangeOf(address, prefix)
  return range.first === address.value ? range : `has bits after its prefix; write "${formatCidr(range)}"`
}

export function formatCidr({ family, first, prefix }: Cidr): string {
  const address = formatAddress({ family, value: first })
  return prefix === BITS[family] ? address : `${address}/${prefix}`
}

/** The network of so many bits around an address. */
export function rangeOf({ family, value }: Address, prefix: number = BITS[family]): Cidr {
  const hosts = (1n << BigInt(BITS[family] - prefix)) - 1n
  const first = value & ~hosts
  return { family, prefix, first, last: first | hosts }
}

export function everything(family: Family): Range {
  return { family, first: 0n, last: (1n << BigInt(BITS[family])) - 1n }
}

/** Ascending and disjoint, neighbours joined. All of one family. */
export function merge(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const range of [...ranges].sort(byFirst)) {
    const before = merged.at(-1)
    if (before === undefined || range.first > before.last + 1n) merged.push(range)
    else if (range.last > before.last) merged[merged.length - 1] = { ...before, last: range.last }
  }
  return merged
}

/** What of `range` is in none of `others`, which are ascending and disjoint. */
export function subtract(range: Range, others: readonly Range[]): Range[] {
  const left: Range[] = []
  let { first } = range
  for (const other of others) {
    if (other.family !== range.family || other.last < first || other.first > range.last) continue
    if (other.first > first) left.push({ family: range.family, first, last: other.first - 1n })
    first = other.last + 1n
  }
  if (first <= range.last) left.push({ family: range.family, first, last: range.last })
  return left
}

/** What of `range` is in some of `others`, which are disjoint. */
export function intersect(range: Range, others: readonly Range[]): Range[] {
  return others
    .filter(
      (other) => other.family === range.family && other.first <= range.last && other.last >= range.first,
    )
    .map(({ family, first, last }) => ({
      family,
      first: first > range.first ? first : range.first,
      last: last < range.last ? last : range.last,
    }))
}

export function covers(range: Range, { family, value }: Address): boolean {
  return family === range.family && range.first <= value && value <= range.last
}

function byFirst(a: Range, b: Range): number {
  return a.first < b.first ? -1 : a.first > b.first ? 1 : 0
}
