import type { Address } from './address.ts'
import { openable, whyReserved } from './builtin.ts'
import { type Entry, parseEntry } from './entry.ts'
import { type Cidr, covers, everything, parseCidr, subtract } from './ranges.ts'
import { RESERVED4, RESERVED6 } from './reserved.ts'
import type { NetworkRecord } from './types.ts'

/** The meaning of rules, told as simply as it can be: slow, and compared with what is in use. */
export interface Naive {
  address(address: Address): boolean
  name(name: string): boolean
}

export function naive(record: NetworkRecord, permit: Cidr[], host: Address[]): Naive {
  const entries = [
    ...record.allow.map((text) => ({ allowed: true, entry: parseEntry(text) as Entry })),
    ...record.deny.map((text) => ({ allowed: false, entry: parseEntry(text) as Entry })),
  ]
  const permitted = openable(permit)
  return {
    address: (address) => {
      if (host.some((one) => one.family === address.family && one.value === address.value)) return false
      const isReserved = whyReserved(address) !== null
      if (isReserved && !permitted.some((range) => covers(range, address))) return false
      const matching = entries.flatMap(({ allowed, entry }) =>
        entry.kind === 'range' && covers(entry.range, address) && (!isReserved || meansReserved(entry.range))
          ? [{ allowed, prefix: entry.range.prefix }]
          : [],
      )
      const best = matching.sort((a, b) => b.prefix - a.prefix)[0]
      if (best) return best.allowed
      return !isReserved && (record.learn || record.default === 'allow')
    },
    name: (name) => {
      const matching = entries.flatMap(({ allowed, entry }) => {
        if (entry.kind === 'name' && entry.name === name) return [{ allowed, weight: 1000 }]
        if (entry.kind === 'below' && name.endsWith(`.${entry.name}`))
          return [{ allowed, weight: entry.name.length }]
        return []
      })
      const best = matching.sort((a, b) => b.weight - a.weight)[0]
      return best
        ? best.allowed
        : record.learn || ([4, 6] as const).some((family) => familyDefault(record, family))
    },
  }
}

function familyDefault(record: NetworkRecord, family: 4 | 6): boolean {
  const all = family === 4 ? '0.0.0.0/0' : '::/0'
  if (record.allow.includes(all)) return true
  return record.default === 'allow' && !record.deny.includes(all)
}

function meansReserved(range: Cidr): boolean {
  const rows = range.family === 4 ? RESERVED4 : RESERVED6
  const whole = everything(range.family)
  if (range.first === whole.first && range.last === whole.last) return false
  return (
    subtract(
      range,
      rows.map((row) => parseCidr(row.range) as Cidr),
    ).length === 0
  )
}
