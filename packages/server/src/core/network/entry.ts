import { type Address, formatAddress, parseAddress } from './address.ts'
import { canonicalName, isLocalName } from './name.ts'
import { type Cidr, formatCidr, parseCidr, rangeOf } from './ranges.ts'

/** One line of a list: an address or a range of them, or a name or all names below one. */
export type Entry = RangeEntry | NameEntry

export interface RangeEntry {
  readonly kind: 'range'
  /** Canonical: `1.2.3.4`, `1.2.0.0/16`. */
  readonly text: string
  readonly range: Cidr
}

export interface NameEntry {
  readonly kind: 'name' | 'below'
  /** Canonical: `example.com`, `*.example.com`, `example.com:22`. */
  readonly text: string
  /** The name, or the one that all these names are below. */
  readonly name: string
  /** Which port it opens besides those of HTTP and TLS. */
  readonly port: number | null
}

/** What an entry matches, without its port: entries with the same subject contradict one another across lists. */
export function subjectOf(entry: Entry): string {
  if (entry.kind === 'range') return entry.text
  return entry.kind === 'below' ? `*.${entry.name}` : entry.name
}

/** @returns the entry, or what is wrong with the text in words that follow it */
export function parseEntry(text: string): Entry | string {
  const problem = mistakeOf(text)
  if (problem !== null) return problem
  if (text.includes('/')) return rangeEntry(parseCidr(text))
  const address = parseAddress(text)
  if (address !== null) return addressEntry(address)
  const [, host = '', port] = /^(.*?)(?::([^:]*))?$/s.exec(text) ?? []
  if (parseAddress(host) !== null || /^\[.*\]/.test(text)) {
    return 'has a port, which only names can have; write the address alone: it is opened with all its ports'
  }
  return nameEntry(host, port)
}

function rangeEntry(cidr: Cidr | string): RangeEntry | string {
  return typeof cidr === 'string' ? cidr : { kind: 'range', text: formatCidr(cidr), range: cidr }
}

function addressEntry(address: Address): RangeEntry {
  return { kind: 'range', text: formatAddress(address), range: rangeOf(address) }
}

function nameEntry(host: string, port: string | undefined): NameEntry | string {
  const number = port === undefined ? null : parsePort(port)
  if (port !== undefined && number === null) return 'has no port number between 1 and 65535 after the ":"'
  const below = host.startsWith('*.')
  const name = canonicalName(below ? host.slice(2) : host)
  if (name === null) return describe(host)
  if (!below && !name.includes('.')) return 'is a name without a dot; those are never resolved for sandboxes'
  if (isLocalName(below ? `x.${name}` : name)) {
    return "is a name of the host's own network; those are never resolved for sandboxes"
  }
  const text = `${below ? '*.' : ''}${name}${number === null ? '' : `:${number}`}`
  return { kind: below ? 'below' : 'name', name, port: number, text }
}

/** @returns null unless it is a decimal number between 1 and 65535 without leading zeros */
export function parsePort(text: string): number | null {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : null
}

function mistakeOf(text: string): string | null {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text)
  if (scheme) return `is a URL; write only its host name${suggestion(scheme[1] ?? '')}`
  if (text === '*') return 'would match everything; set "default" to "allow" or "deny" instead'
  if (/[\x00-\x20\x7f]/.test(text)) return 'has a blank or a control character in it'
  if (text.includes('@')) return 'has an "@" in it; write only the host name'
  const [host = '', path] = text.split('/', 2)
  if (path !== undefined && parseAddress(host) === null && canonicalName(host) !== null) {
    return `has a path; rules know only hosts; write "${host}"`
  }
  return null
}

function suggestion(host: string): string {
  return canonicalName(host) === null ? '' : `: "${host}"`
}

function describe(host: string): string {
  if (host.includes('*')) {
    return 'has a "*" elsewhere than at its beginning; only whole names below one can be meant: "*.example.com"'
  }
  if (/^[\d.]+$|^(0x[\da-f]*\.?)+$/i.test(host))
    return 'is no address: write four decimal numbers, "192.0.2.1"'
  return 'is no address, range or name such as "192.0.2.1", "192.0.2.0/24", "example.com" or "*.example.com"'
}
