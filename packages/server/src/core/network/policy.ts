import { type Address, formatAddress, fromBytes, parseAddress, type Range, toBytes } from './address.ts'
import { type Compiled, compileRanges, find, type Mark } from './compile.ts'
import { type NameEntry, parseEntry, type RangeEntry } from './entry.ts'
import { addressMessage, addressRule, localName, nameMessage } from './messages.ts'
import { isLocalName, zonesOf } from './name.ts'
import { merge } from './ranges.ts'
import type { AddressRange, Judgement, NetworkRecord, PacketRules, Policy } from './types.ts'

/** What rules mean depends on where they are in force. */
export interface Surroundings {
  /** Private ranges that rules may open, because the operator says so. */
  readonly permit: readonly AddressRange[]
  /** The host's own addresses, which no rule opens. Texts that are no addresses count for nothing. */
  readonly host: readonly string[]
}

/** Ports of HTTP and TLS, where the server checks the name. */
export const NAMED_PORTS: readonly number[] = [80, 443]

/** What entries say of one name, or of all names below one. */
interface NameRule {
  readonly allowed: boolean
  readonly rule: string
  readonly ports: number[]
}

/**
 * Rules, ready to judge. The most specific matching entry decides: a single address, an exact name, a longer
 * wildcard, a shorter one, a range by the length of its prefix, the default. A range of all addresses acts as the
 * default of its family. Names are allowed by default where the default of either family allows.
 */
export function compilePolicy(record: NetworkRecord, surroundings: Surroundings): Policy {
  const entries = (texts: readonly string[], allowed: boolean) =>
    texts.map((text) => ({ entry: canonical(text), allowed }))
  const all = [...entries(record.allow, true), ...entries(record.deny, false)]
  const ranges = all.flatMap(({ entry, allowed }) => (entry.kind === 'range' ? [{ entry, allowed }] : []))
  const names = all.flatMap(({ entry, allowed }) => (entry.kind === 'range' ? [] : [{ entry, allowed }]))
  const compiled = compileRanges(record, ranges, {
    permit: surroundings.permit.map(fromBytes),
    host: surroundings.host.flatMap((text) => parseAddress(text.replace(/%.*$/, '')) ?? []),
  })
  return new CompiledPolicy(compiled, compileNames(names), record.learn)
}

/** Judges by one table of names and one of addresses. */
class CompiledPolicy implements Policy {
  readonly packets: PacketRules
  readonly #addresses: Compiled
  readonly #names: Map<string, NameRule>

  constructor(addresses: Compiled, names: Map<string, NameRule>, learn: boolean) {
    this.#addresses = addresses
    this.#names = names
    this.packets = packetRules(addresses, learn || names.size > 0)
  }

  judgeName(name: string): Judgement {
    if (isLocalName(name)) return localName(name)
    const rule = this.#ruleOf(name)
    if (rule !== undefined) return judgement(rule.allowed, rule.rule, nameMessage(name, rule))
    const mark = this.#nameDefault()
    return judgement(
      mark.allowed,
      addressRule(mark),
      nameMessage(name, { allowed: mark.allowed, rule: null }),
    )
  }

  portsOf(name: string): number[] {
    const ports = new Set<number>()
    for (const rule of this.#rulesOf(name)) {
      if (!rule.allowed) break
      for (const port of rule.ports) ports.add(port)
    }
    return [...ports].sort((a, b) => a - b)
  }

  judgeAddress(text: string): Judgement {
    const address = parseAddress(text)
    if (address === null) return judgement(false, 'no address', `${JSON.stringify(text)} is no address.`)
    return this.#judge(address, find(this.#addresses, address))
  }

  judgePinned(name: string, text: string): Judgement {
    const byName = this.judgeName(name)
    const address = parseAddress(text)
    if (!byName.allowed || address === null) return byName.allowed ? this.judgeAddress(text) : byName
    const mark = find(this.#addresses, address)
    const fixed = mark.kind === 'host' || (mark.kind === 'reserved' && !mark.permitted)
    const overName = mark.kind === 'entry' && mark.single
    return fixed || overName || this.#ruleOf(name) === undefined ? this.#judge(address, mark) : byName
  }

  #judge(address: Address, mark: Mark): Judgement {
    return judgement(mark.allowed, addressRule(mark), addressMessage(formatAddress(address), mark))
  }

  /** What matches a name, the most specific first. */
  *#rulesOf(name: string): Generator<NameRule> {
    for (const key of [name, ...zonesOf(name).map((zone) => `*.${zone}`)]) {
      const rule = this.#names.get(key)
      if (rule !== undefined) yield rule
    }
  }

  #ruleOf(name: string): NameRule | undefined {
    return this.#rulesOf(name).next().value ?? undefined
  }

  #nameDefault(): Mark {
    const { 4: v4, 6: v6 } = this.#addresses.defaults
    return v4.allowed || !v6.allowed ? v4 : v6
  }
}

function judgement(allowed: boolean, rule: string, message: string): Judgement {
  return { allowed, rule, message }
}

/** Entries of records were checked when they were recorded. */
function canonical(text: string): RangeEntry | NameEntry {
  const entry = parseEntry(text)
  if (typeof entry === 'string') throw new Error(`recorded rule ${JSON.stringify(text)} ${entry}`)
  return entry
}

/** Entries that differ in the port alone make one rule. */
function compileNames(entries: { entry: NameEntry; allowed: boolean }[]): Map<string, NameRule> {
  const rules = new Map<string, NameRule>()
  for (const { entry, allowed } of entries) {
    const key = entry.kind === 'below' ? `*.${entry.name}` : entry.name
    const rule = rules.get(key) ?? { allowed, rule: `${allowed ? 'allow' : 'deny'} ${entry.text}`, ports: [] }
    if (entry.port !== null && !NAMED_PORTS.includes(entry.port)) rule.ports.push(entry.port)
    rules.set(key, rule)
  }
  return rules
}

function packetRules({ 4: v4, 6: v6 }: Compiled, byName: boolean): PacketRules {
  const ranges = (segments: Compiled[4], chosen: (mark: Mark) => boolean): AddressRange[] =>
    merge(segments.filter(({ mark }) => chosen(mark)) as Range[]).map(toBytes)
  const allowed = (mark: Mark) => mark.allowed
  const named = (mark: Mark) => mark.allowed && mark.kind === 'entry'
  return {
    allow4: ranges(v4, allowed),
    allow6: ranges(v6, allowed),
    named4: ranges(v4, named),
    named6: ranges(v6, named),
    byName,
  }
}

/** Whether an entry denies this very name or all names of its zone, rather than that none allows it. */
export function isDenial({ allowed, rule }: Judgement): boolean {
  return !allowed && rule.startsWith('deny ') && !rule.endsWith('/0')
}
