import { SandboxError } from '@caisson/protocol/errors'
import type { Network, NetworkAsked } from '@caisson/protocol/resources'
import { invalid } from '../invalid.ts'
import { parseBytes } from '../quantity.ts'
import { type Range, toBytes } from './address.ts'
import { isReserved, openable, whyReserved } from './builtin.ts'
import { type Entry, parseEntry, subjectOf } from './entry.ts'
import { article } from './messages.ts'
import { intersect } from './ranges.ts'
import type { AddressRange, NetworkRecord } from './types.ts'

/** What of the configuration rules depend on. */
export interface NetworkConfig {
  /** Private ranges (CIDR) that rules may open. */
  readonly permit: readonly string[]
}

type Issue = { path: string; message: string }

/** Slower than this no connection works. */
const MIN_RATE = 1024

/**
 * Rules as they were asked for, checked and brought into the form in which they are remembered.
 * @param path where they stand in the request
 * @returns null: no network
 * @throws SandboxError `invalid_request` that names every entry that is wrong
 */
export function parseNetwork(
  asked: NetworkAsked | undefined,
  config: NetworkConfig,
  path = 'network',
): NetworkRecord | null {
  if (asked === undefined || asked === false) return null
  const rules = asked === true ? {} : asked
  const permitted = openable(parsePermit(config.permit))
  const issues: Issue[] = []
  const allow = parseList(rules.allow ?? [], `${path}.allow`, issues, (entry) =>
    unreachable(entry, permitted),
  )
  const deny = parseList(rules.deny ?? [], `${path}.deny`, issues, pointless)
  issues.push(...contradictions(allow, deny, path))
  if (issues.length > 0) throw new SandboxError('invalid_request', { issues })
  return {
    default: rules.default ?? (rules.allow === undefined ? 'allow' : 'deny'),
    allow: textsOf(allow),
    deny: textsOf(deny),
    learn: rules.learn ?? false,
    uploadBytesPerSecond: parseRate(rules.upload, `${path}.upload`),
    downloadBytesPerSecond: parseRate(rules.download, `${path}.download`),
    connections: rules.connections ?? null,
  }
}

/** The rules as the API shows them. */
export function showNetwork(record: NetworkRecord | null): Network {
  if (record === null) return { ...NOTHING, allow: [], deny: [] }
  const { vouched: _, ...shown } = record
  const plain = record.default === 'allow' && record.allow.length + record.deny.length === 0 && !record.learn
  return { mode: plain ? 'public' : 'rules', ...shown }
}

/**
 * The ranges of the operator's setting `network.permit`.
 * @throws SandboxError `invalid_request`
 */
function parsePermit(permit: readonly string[]): Range[] {
  return permit.map((text, at) => {
    const entry = parseEntry(text)
    if (typeof entry !== 'string' && entry.kind === 'range') return entry.range
    throw invalid(
      `network.permit[${at}]`,
      `${JSON.stringify(text)} is no address or range such as "10.1.0.0/16"`,
    )
  })
}

/** The same as what policies take. @throws SandboxError `invalid_request` */
export function permitRanges(permit: readonly string[]): AddressRange[] {
  return parsePermit(permit).map(toBytes)
}

const NOTHING = {
  mode: 'none',
  default: 'deny',
  learn: false,
  uploadBytesPerSecond: null,
  downloadBytesPerSecond: null,
  connections: null,
} as const

interface Listed {
  entry: Entry
  at: number
}

function parseList(
  texts: readonly string[],
  path: string,
  issues: Issue[],
  objection: (entry: Entry) => string | null,
): Listed[] {
  return texts.flatMap((text, at) => {
    const entry = parseEntry(text)
    const problem = typeof entry === 'string' ? entry : objection(entry)
    if (problem !== null)
      issues.push({ path: `${path}[${at}]`, message: `${JSON.stringify(text)} ${problem}` })
    return typeof entry === 'string' ? [] : [{ entry, at }]
  })
}

/** An entry that opens nothing is a mistake, and silence would hide it until something fails. */
function unreachable(entry: Entry, permitted: readonly Range[]): string | null {
  if (entry.kind !== 'range' || !isReserved(entry.range)) return null
  if (intersect(entry.range, permitted).length > 0) return null
  const why = whyReserved({ family: entry.range.family, value: entry.range.first }) ?? 'reserved address'
  const single = entry.range.first === entry.range.last
  const what = single ? article(why) : `a range of ${why}${why.endsWith('address') ? 'es' : ''}`
  return `is ${what}, which no sandbox reaches; only the operator can open it, with the setting network.permit`
}

/** A denied name is not resolved at all, so that a port would promise more than holds: the others stay open. */
function pointless(entry: Entry): string | null {
  if (entry.kind === 'range' || entry.port === null) return null
  return `has a port, which entries of "deny" cannot have: a denied name is refused as a whole; write "${subjectOf(entry)}"`
}

function contradictions(allow: Listed[], deny: Listed[], path: string): Issue[] {
  const allowed = new Map(allow.map(({ entry, at }) => [subjectOf(entry), at]))
  return deny.flatMap(({ entry, at }) => {
    const other = allowed.get(subjectOf(entry))
    if (other === undefined) return []
    const message = `${JSON.stringify(subjectOf(entry))} is also in ${path}.allow[${other}]; remove one of them`
    return [{ path: `${path}.deny[${at}]`, message }]
  })
}

function textsOf(list: Listed[]): string[] {
  return [...new Set(list.map(({ entry }) => entry.text))].sort()
}

function parseRate(text: string | undefined, path: string): number | null {
  if (text === undefined) return null
  const rate = parseBytes(text, path)
  if (rate < MIN_RATE) throw invalid(path, `${JSON.stringify(text)} is less than the minimum of 1Ki a second`)
  return rate
}
