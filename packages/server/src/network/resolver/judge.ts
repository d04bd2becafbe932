import type { RecordType } from 'dns-packet'
import { type Address, formatAddress, parseAddress } from '../../core/network/address.ts'
import { canonicalName } from '../../core/network/name.ts'
import { isDenial } from '../../core/network/policy.ts'
import type { Judgement, Policy } from '../../core/network/types.ts'
import type { Found, Kept } from './found.ts'
import { addressOfReverse, isReverse } from './reverse.ts'

/** What a sandbox may not be told, and why. */
export interface Refused extends Judgement {
  readonly name: string
  readonly address: string | null
}

/** What of an answer a sandbox may be told. */
export interface Told {
  readonly records: readonly Kept[]
  /** Those among the records. */
  readonly addresses: readonly string[]
  readonly refused: readonly Refused[]
}

/** Of a hostile answer with hundreds of refused addresses, so many are worth an observation. */
const MAX_REFUSED = 4

/** Types that are passed on. Others would name ways around the check of names (HTTPS, SVCB), or are of no use here. */
const PASSED: readonly string[] = ['A', 'AAAA', 'CNAME', 'MX', 'TXT', 'SRV', 'NS', 'SOA', 'CAA', 'PTR']

/** Whether there is an answer to questions of this type. */
export function isPassed(type: string): type is RecordType {
  return PASSED.includes(type)
}

/** Why a name is not asked for; null when it is. @param text as it stands in the question */
export function refusalOf(policy: Policy, text: string): Refused | null {
  const name = canonicalName(text)
  if (name === null)
    return { ...NO_NAME, name: text, address: null, message: `${text} is no name of a host.` }
  const byName = policy.judgeName(name)
  if (!byName.allowed) return { ...byName, name, address: null }
  if (!isReverse(name)) return null
  const address = addressOfReverse(name)
  const judgement = address === null ? NO_NAME : policy.judgeAddress(formatAddress(address))
  return judgement.allowed ? null : { ...judgement, name, address: address && formatAddress(address) }
}

/** Drops addresses that may not be reached, and everything when an alias leads to a name that is denied. */
export function judge(policy: Policy, name: string, found: Found): Told {
  const denied = deniedAlias(policy, [...found.chain, ...found.records])
  if (denied !== null) return { records: [], addresses: [], refused: [denied] }
  const judged = found.records.map((record) => ({ record, ...judgeRecord(policy, name, record) }))
  const kept = judged.filter(({ refused }) => refused === null)
  return {
    records: [...found.chain, ...kept.map(({ record }) => record)],
    addresses: kept.flatMap(({ address }) => address ?? []),
    refused: judged.flatMap(({ refused }) => refused ?? []).slice(0, MAX_REFUSED),
  }
}

const NO_NAME: Judgement = { allowed: false, rule: 'no name', message: 'This is no name of a host.' }

function deniedAlias(policy: Policy, records: readonly Kept[]): Refused | null {
  for (const record of records) {
    const target = record.type === 'CNAME' ? canonicalName(record.data) : null
    const judgement = target === null ? null : policy.judgeName(target)
    if (target !== null && judgement !== null && isDenial(judgement))
      return { ...judgement, name: target, address: null }
  }
  return null
}

function judgeRecord(
  policy: Policy,
  name: string,
  record: Kept,
): { address: string | null; refused: Refused | null } {
  if (record.type !== 'A' && record.type !== 'AAAA') return { address: null, refused: null }
  const parsed = parseAddress(record.data) as Address
  const address = formatAddress(parsed)
  const isMapped = record.type === 'AAAA' && parsed.family === 4
  const judgement = isMapped ? mapped(address) : policy.judgePinned(name, address)
  return { address, refused: judgement.allowed ? null : { ...judgement, name, address } }
}

function mapped(address: string): Judgement {
  return {
    allowed: false,
    rule: 'IPv4-mapped address',
    message: `${address} was answered as an IPv6 address; such answers are dropped.`,
  }
}
