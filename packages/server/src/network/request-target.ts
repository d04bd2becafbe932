import { formatAddress, parseAddress } from '../core/network/address.ts'
import { canonicalName } from '../core/network/name.ts'
import { valuesOf } from './headers.ts'
import type { Target } from './reach.ts'
import { Refusal } from './refusal.ts'

/** What of a request says where it goes. Its headers are as they came: name, value, name, value. */
export interface RequestHead {
  method?: string | undefined
  url?: string | undefined
  httpVersion: string
  rawHeaders: readonly string[]
}

/**
 * Whom a request is for, by its one Host header, and the path to ask there.
 * @throws Refusal when two readers could understand it differently, or when it is for another port than 80
 */
export function parseRequestTarget(head: RequestHead): { target: Target; path: string } {
  checkFraming(head)
  const hosts = valuesOf(head.rawHeaders, 'host')
  if (hosts.length !== 1) throw malformed(`it has ${hosts.length} Host headers, and must have one`)
  const host = hosts[0]!
  const target = parseHost(host)
  return { target, path: parsePath(head, host) }
}

/** The parser has refused most of what lets two readers disagree on where a body ends; this is the rest. */
function checkFraming({ rawHeaders, httpVersion }: RequestHead): void {
  const codings = valuesOf(rawHeaders, 'transfer-encoding')
  if (codings.length === 0) return
  if (codings.length > 1 || codings[0]!.toLowerCase() !== 'chunked') {
    throw malformed('its Transfer-Encoding is another than "chunked"')
  }
  if (httpVersion !== '1.1') throw malformed(`HTTP/${httpVersion} has no Transfer-Encoding`)
  if (valuesOf(rawHeaders, 'content-length').length > 0) throw malformed('its length is told twice')
}

/** A name or an address, with nothing beside it but port 80. */
export function parseHost(host: string): Target {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(host)
  if (match === null) throw malformed('its Host is neither a name nor an address')
  const [, bracketed, plain = '', port = '80'] = match
  if (port !== '80') {
    throw new Refusal(
      'HTTP to another port',
      `The request came to port 80 and names port ${port} in its Host header. Send it to port ${port}, if the rules allow that port.`,
    )
  }
  const address = bracketed?.includes(':') ? parseAddress(bracketed) : parseAddress(plain)
  if (address !== null) return { name: null, address: formatAddress(address) }
  const name = canonicalName(plain)
  if (name === null) throw malformed('its Host is neither a name nor an address')
  return { name, address: null }
}

/** As a server wants it. A request as for a proxy (RFC 9112 3.2.2) must say the same host twice. */
function parsePath({ url = '', method }: RequestHead, host: string): string {
  if (url.startsWith('/') || (url === '*' && method === 'OPTIONS')) return url
  const match = /^http:\/\/([^/?#]*)(.*)$/i.exec(url)
  if (match === null) throw malformed('its target is neither a path nor an http:// URL')
  const [, authority = '', rest = ''] = match
  if (authority.toLowerCase() !== host.toLowerCase()) throw malformed('its URL and its Host header differ')
  if (rest === '') return method === 'OPTIONS' ? '*' : '/'
  return rest.startsWith('/') ? rest : `/${rest}`
}

function malformed(what: string): Refusal {
  return new Refusal('malformed request', `The HTTP request is refused: ${what}.`, { malformed: true })
}
