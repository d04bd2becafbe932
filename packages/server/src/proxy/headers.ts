import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http'
import type { PortRoute } from '../port-route.ts'
import { ACCESS_HEADER, TOKEN_COOKIE, withoutTokenCookie } from './token.ts'
import type { Visitor } from './visitor.ts'

/** Names and values in turn, as Node takes and gives them. */
export type RawHeaders = string[]

/** What concerns one connection and not what goes through it (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/**
 * What a client must not be able to say: it is said by us, or it decides how long the body is. `http2-settings` belongs
 * to an upgrade that is not offered, and `proxy` becomes HTTP_PROXY in the environment of a CGI program.
 */
const NOT_FROM_CLIENTS = new Set([
  ...HOP_BY_HOP,
  'content-length',
  'expect',
  'forwarded',
  'http2-settings',
  'proxy',
  'x-real-ip',
])
const NOT_FROM_CLIENTS_PREFIX =
  /^(x-forwarded-|caisson-|(e2b|moru)-(sandbox-id|sandbox-port|traffic-access-token)$)/

/** What a page below the API's own address must not do to that address. */
const NOT_BELOW_THE_API = new Set([
  'alt-svc',
  'clear-site-data',
  'nel',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-cookie',
  'strict-transport-security',
])

/** Pages of the path form get an origin of their own, so that they can not act as pages of the API's. */
const SANDBOXED = ['Content-Security-Policy', 'sandbox allow-scripts allow-forms allow-popups']

/** What decides how a program sees a request. */
export interface Passing {
  request: IncomingMessage
  route: PortRoute
  visitor: Visitor
  /** What it shall see as Host; null: what was sent. */
  host: string | null
  /** Whether a value opens a sandbox, so that no program may learn it. */
  isSecret(value: string): boolean
}

/** The head of a request as the program sees it: as it was sent, but for what is ours. */
export function requestHeaders({ request, route, visitor, host, isSecret }: Passing): RawHeaders {
  const named = connectionNames(request)
  const kept: RawHeaders = []
  forEachHeader(request.rawHeaders, (name, value) => {
    // Programs that see a header as a variable of the environment do not tell "_" from "-".
    const plain = name.toLowerCase().replaceAll('_', '-')
    if (NOT_FROM_CLIENTS.has(plain) || NOT_FROM_CLIENTS_PREFIX.test(plain) || named.has(plain)) return
    if (plain === ACCESS_HEADER && isSecret(value)) return
    if (plain === 'host') kept.push(name, host ?? value)
    else if (plain !== 'cookie') kept.push(name, value)
    else kept.push(...cookieFor(route, name, value))
  })
  kept.push('X-Forwarded-For', visitor.addresses, 'X-Forwarded-Proto', visitor.scheme)
  if (visitor.host !== '') kept.push('X-Forwarded-Host', visitor.host)
  if (route.prefix !== '') kept.push('X-Forwarded-Prefix', route.prefix)
  return kept
}

/** How the body of a request is framed; the parser has refused what says both, or says either twice. */
export function bodyHeaders({ headers, method }: IncomingMessage): RawHeaders {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked']
  const length = headers['content-length']
  if (length !== undefined) return ['Content-Length', length]
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? [] : ['Content-Length', '0']
}

export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0)
}

/** The head of an answer as the client sees it. */
export function answerHeaders(answer: IncomingMessage, route: PortRoute): RawHeaders {
  const named = connectionNames(answer)
  const kept: RawHeaders = []
  forEachHeader(answer.rawHeaders, (name, value) => {
    const plain = name.toLowerCase()
    if (HOP_BY_HOP.includes(plain) || named.has(plain)) return
    if (route.form === 'path' && NOT_BELOW_THE_API.has(plain)) return
    const rest = plain === 'set-cookie' ? hostOnly(value) : value
    if (rest !== null) kept.push(name, rest)
  })
  if (route.form === 'path') kept.push(...SANDBOXED)
  return kept
}

/** Fields after a body that may be passed on: none that a head would have decided by. */
export function trailerHeaders(raw: RawHeaders): [string, string][] {
  const kept: [string, string][] = []
  forEachHeader(raw, (name, value) => {
    const plain = name.toLowerCase()
    if (/^(host|cookie|set-cookie|authorization|content-.*)$/.test(plain)) return
    if (NOT_FROM_CLIENTS.has(plain) || NOT_FROM_CLIENTS_PREFIX.test(plain) || plain === ACCESS_HEADER) return
    if (canBeSent(name, value)) kept.push([name, value])
  })
  return kept
}

/** The parser takes more than what may be sent. */
function canBeSent(name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}

/** Below the API's address cookies are shared by everything there, so none of them is for a program. */
function cookieFor(route: PortRoute, name: string, value: string): RawHeaders {
  const rest = route.form === 'path' ? null : withoutTokenCookie(value)
  return rest === null ? [] : [name, rest]
}

/**
 * A cookie for the domain would reach all sandboxes and the API beside them, so it is narrowed to the host that set it;
 * a program may not set the one that holds the token.
 */
function hostOnly(cookie: string): string | null {
  const [pair = '', ...attributes] = cookie.split(';')
  if (pair.split('=', 1)[0]?.trim() === TOKEN_COOKIE) return null
  return [pair, ...attributes.filter((attribute) => !/^\s*domain\s*(=|$)/i.test(attribute))].join(';')
}

/** What the Connection header takes along; who is asked is no business of one connection. */
function connectionNames({ headers }: IncomingMessage): Set<string> {
  const names = headers.connection?.split(',').map((name) => name.trim().toLowerCase())
  return new Set(names?.filter((name) => name !== 'host'))
}

function forEachHeader(raw: RawHeaders, visit: (name: string, value: string) => void): void {
  for (let at = 0; at + 1 < raw.length; at += 2) visit(raw[at] as string, raw[at + 1] as string)
}
