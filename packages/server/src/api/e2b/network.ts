import type { Network, NetworkAsked } from '@caisson/protocol/resources'
import { z } from 'zod'
import { type Entry, parseEntry, type RangeEntry } from '../../core/network/entry.ts'
import type { Cidr } from '../../core/network/ranges.ts'
import { invalid } from '../errors.ts'

/** What clients mean by all addresses. */
const EVERYTHING = '0.0.0.0/0'

const entries = z.array(z.string().max(300)).max(1000).nullish()

/** Rules for what a sandbox may reach, in the words of these clients. What is listed and not had is refused. */
export const Egress = z.object({
  allowOut: entries,
  denyOut: entries,
  allow_internet_access: z.boolean().nullish(),
  rules: z.record(z.string(), z.unknown()).nullish(),
  egressProxy: z.unknown().optional(),
})
export type Egress = z.output<typeof Egress>

/** Issues of what this server does not have. */
const ABSENT = {
  rules:
    'is not supported: requests are not rewritten on their way out, so that no header can be added to them',
  egressProxy: 'is not supported: traffic leaves by this host alone',
}

/**
 * Rules as ours. Theirs: what is allowed is allowed, of the rest what is denied is denied, everything else is allowed.
 * Ours: the most specific entry decides. So a denied range within an allowed one goes, because it would win here.
 * @throws SandboxError `invalid_request`
 */
export function toNetwork(egress: Egress, path = ''): NetworkAsked {
  refuseAbsent(egress, path)
  const allow = parseList(egress.allowOut, `${path}allowOut`)
  const deny = parseList(egress.denyOut, `${path}denyOut`)
  const name = deny.find((entry) => entry.kind !== 'range')
  if (name)
    throw invalid(
      `${path}denyOut`,
      `${JSON.stringify(name.text)} is a name; only addresses and ranges can be denied`,
    )
  const denied = deny.filter((entry) => entry.kind === 'range')
  const denyAll = egress.allow_internet_access === false || denied.some(isEverything)
  if (!denyAll && allow.some((entry) => entry.kind !== 'range'))
    throw invalid(
      `${path}allowOut`,
      `has names, which mean something only when all else is denied: put "${EVERYTHING}" in denyOut`,
    )
  const allowed = allow.filter((entry) => entry.kind === 'range')
  if (allowed.some(isEverything)) return true
  return denyAll ? onlyAllowed(allow) : allBut(denied, allowed)
}

/** The reverse, for what is shown: as it is in force, which may be shorter than what was written. */
export function fromNetwork({ mode, default: fallback, allow, deny }: Network): {
  allowOut?: string[]
  denyOut?: string[]
} {
  const denyOut = mode === 'none' || fallback === 'deny' ? [EVERYTHING, ...deny] : deny
  return { ...(allow.length > 0 && { allowOut: allow }), ...(denyOut.length > 0 && { denyOut }) }
}

/** What is said of the internet as a whole; rules that are between all and nothing say neither. */
export function internetOf({ mode, default: fallback, allow }: Network): boolean | null {
  if (mode === 'public') return true
  return mode === 'none' || (fallback === 'deny' && allow.length === 0) ? false : null
}

function onlyAllowed(allow: Entry[]): NetworkAsked {
  return allow.length > 0 && { default: 'deny', allow: allow.map(({ text }) => text) }
}

function allBut(denied: RangeEntry[], allowed: RangeEntry[]): NetworkAsked {
  const deny = denied.filter(({ range }) => !allowed.some((entry) => contains(entry.range, range)))
  const allow = allowed.filter(({ range }) => deny.some((entry) => contains(entry.range, range)))
  if (deny.length === 0) return true
  return { default: 'allow', allow: allow.map(({ text }) => text), deny: deny.map(({ text }) => text) }
}

/** Ranges of prefixes are nested or disjoint. */
function contains(outer: Cidr, inner: Cidr): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last
}

function isEverything({ range }: RangeEntry): boolean {
  return range.family === 4 && range.prefix === 0
}

function refuseAbsent(egress: Egress, path: string): void {
  if (Object.keys(egress.rules ?? {}).length > 0) throw invalid(`${path}rules`, ABSENT.rules)
  if ((egress.egressProxy ?? null) !== null) throw invalid(`${path}egressProxy`, ABSENT.egressProxy)
}

function parseList(texts: string[] | null | undefined, path: string): Entry[] {
  return (texts ?? []).map((text, at) => {
    const entry = parseEntry(text)
    if (typeof entry === 'string') throw invalid(`${path}[${at}]`, `${JSON.stringify(text)} ${entry}`)
    return entry
  })
}
