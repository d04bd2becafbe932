import type { RecordType, Answer as Resource } from 'dns-packet'
import type { Reply } from './wire.ts'

/** A record as it is passed on. */
export type Kept = Exclude<Resource, { type: 'OPT' }> & { ttl: number }

/** What name servers know of a name: the records that belong to the question, and none besides. */
export interface Found {
  readonly exists: boolean
  /** The aliases (CNAME) from the name that was asked for to the one that has the records. */
  readonly chain: readonly Kept[]
  readonly records: readonly Kept[]
  /** Seconds that it holds. */
  readonly ttl: number
}

/** A chain of aliases that is longer leads nowhere. */
const MAX_CHAIN = 16
/** So many records are passed on. */
const MAX_RECORDS = 64
/** Seconds that an answer holds at most, here and in the sandbox, and the absence of one. */
const MAX_TTL = 300
const MAX_NEGATIVE_TTL = 60
/** Of absences for which no time is told. */
const NEGATIVE_TTL = 5

/** Follows the aliases of a reply from the name that was asked for: whatever else it has is not believed. */
export function foundIn(reply: Reply, name: string, type: RecordType): Found {
  const chain: Kept[] = []
  const seen = new Set<string>()
  let current = name
  while (type !== 'CNAME' && chain.length < MAX_CHAIN && !seen.has(current)) {
    const alias = recordsOf(reply, current, 'CNAME')[0]
    if (alias?.type !== 'CNAME') break
    seen.add(current)
    chain.push(alias)
    current = alias.data.toLowerCase()
  }
  const records = recordsOf(reply, current, type).slice(0, MAX_RECORDS)
  const ttls = [...chain, ...records].map(({ ttl }) => ttl)
  return {
    exists: reply.rcode !== 'NXDOMAIN',
    chain,
    records,
    ttl: records.length > 0 ? Math.min(...ttls) : negativeTtl(reply),
  }
}

function recordsOf({ answers }: Reply, name: string, type: RecordType): Kept[] {
  return answers.flatMap((record) => {
    if (record.type === 'OPT' || record.type !== type || record.name.toLowerCase() !== name) return []
    // A lifetime with the highest bit set counts as none (RFC 2181).
    const ttl = record.ttl === undefined || record.ttl > 0x7fff_ffff ? 0 : Math.min(record.ttl, MAX_TTL)
    return [{ ...record, name, ttl, class: 'IN', flush: false } as Kept]
  })
}

function negativeTtl({ negativeTtl }: Reply): number {
  return negativeTtl === null ? NEGATIVE_TTL : Math.min(negativeTtl, MAX_NEGATIVE_TTL)
}
