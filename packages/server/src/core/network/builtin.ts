import { type Address, parseAddress, type Range } from './address.ts'
import { covers, intersect, merge, parseCidr, rangeOf, subtract } from './ranges.ts'
import { METADATA, RESERVED4, RESERVED6, type Reserved, SPECIAL } from './reserved.ts'

interface ReservedRange extends Range {
  readonly why: string
}

/** From the general to the particular: the last that covers an address has the best word for it. */
export const RESERVED: readonly ReservedRange[] = [
  ...[...RESERVED4, ...RESERVED6, ...SPECIAL].map(reservedRange),
  ...METADATA.map((text) => ({ ...rangeOf(addressOf(text)), why: 'metadata service' })),
]

/** All reserved ranges, ascending and disjoint in each family. */
export const ALL_RESERVED: readonly Range[] = ([4, 6] as const).flatMap((family) =>
  merge(RESERVED.filter((range) => range.family === family)),
)

/** What an address is that no sandbox reaches; null for those of the public internet. */
export function whyReserved(address: Address): string | null {
  return RESERVED.findLast((range) => covers(range, address))?.why ?? null
}

/**
 * The reserved addresses that rules may open because the operator says so, ascending and disjoint in each family.
 * A metadata service is among them only when it is permitted by itself, never because of a wider range.
 */
export function openable(permit: readonly Range[]): Range[] {
  const metadata = merge4and6(METADATA.map((text) => rangeOf(addressOf(text))))
  const exactly = permit.filter(({ first, last }) => first === last)
  const wider = permit.flatMap((range) => subtract(range, metadata))
  return merge4and6([...exactly, ...wider]).flatMap((range) => intersect(range, ALL_RESERVED))
}

/** Kinds of addresses that nobody vouches for: they mean something of the host itself, or of the cloud under it. */
const NEVER_VOUCHED: readonly string[] = [
  'address of this network',
  'unspecified address',
  'loopback address',
  'link-local address',
  'multicast address',
  'metadata service',
]

/** Whether an address is reserved, and the operator's word for it could open it all the same. */
export function canVouch(address: Address): boolean {
  const why = whyReserved(address)
  return why !== null && !NEVER_VOUCHED.includes(why)
}

/** Whether no address of the range is public. */
export function isReserved(range: Range): boolean {
  return subtract(range, ALL_RESERVED).length === 0
}

function merge4and6(ranges: readonly Range[]): Range[] {
  return ([4, 6] as const).flatMap((family) => merge(ranges.filter((range) => range.family === family)))
}

function reservedRange({ range, why }: Reserved): ReservedRange {
  const cidr = parseCidr(range)
  if (typeof cidr === 'string') throw new Error(`${range} ${cidr}`)
  return { ...cidr, why }
}

function addressOf(text: string): Address {
  const address = parseAddress(text)
  if (address === null) throw new Error(`${text} is no address`)
  return address
}
