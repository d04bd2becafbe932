import type { IncomingMessage } from 'node:http'
import { SandboxError } from '@caisson/protocol/errors'
import { readSandboxId } from '../core/sandbox-id.ts'
import { hostOf, type PortRoute, readHost } from '../port-route.ts'
import type { ReachedPort } from '../sandboxes/use-cases.ts'
import { TOKEN_COOKIE, tokensOf, withoutToken } from './token.ts'
import type { Visitor } from './visitor.ts'

/** Seconds that a cookie with a token is kept at most. */
const MAX_COOKIE_AGE = 30 * 24 * 3600

/** Instead of an answer of the program: go there, with this cookie. */
export interface Redirect {
  location: string
  cookie: string
}

export interface Door {
  request: IncomingMessage
  route: PortRoute
  visitor: Visitor
  domain: string
}

/**
 * Lets a request in to a port, or sends a browser that followed a link to the same address without the token.
 * @throws SandboxError `port_denied`
 */
export function admit(reached: ReachedPort, door: Door): Redirect | null {
  if (reached.access === 'public') return null
  const { request, route } = door
  const tokens = tokensOf(request, route.target)
  const opens = (token: string | undefined) => (token === undefined ? null : reached.admittedUntil(token))
  if (tokens.headers.map(opens).some((each) => each !== null)) return null
  const until = opens(tokens.query)
  if (until !== null) return isNavigation(request) ? redirect(door, tokens.query as string, until) : null
  const byCookie = tokens.cookies.map(opens).some((each) => each !== null)
  if (byCookie && comesFromItself(door)) return null
  throw new SandboxError('port_denied', { sandbox: reached.sandbox, port: route.port })
}

/** Whether a person looks at the answer: a page is of use to them. */
export function isNavigation({ method, headers }: IncomingMessage): boolean {
  if (headers.upgrade !== undefined || (method !== 'GET' && method !== 'HEAD')) return false
  const mode = headers['sec-fetch-mode']
  return (mode === undefined || mode === 'navigate') && /\btext\/html\b/.test(headers.accept ?? '')
}

/**
 * A cookie comes along whoever's page has made the browser send the request, and to a browser all sandboxes of a domain are
 * one site. So pages of other sandboxes are told from those of this one by the origin that they can not hide.
 */
function comesFromItself({ request, route, domain }: Door): boolean {
  const { origin } = request.headers
  if (origin === undefined) return true
  const host = URL.canParse(origin) ? new URL(origin).hostname.replace(/\.$/, '') : ''
  if (host !== '' && host === hostOf(request)) return route.form !== 'path'
  if (route.form !== 'host') return false
  const asking = readSandboxId(readHost(host, domain)?.sandbox ?? '')
  return asking !== null && asking === readSandboxId(route.sandbox)
}

function redirect({ route, visitor }: Door, token: string, until: number): Redirect {
  const left = Math.floor((until - Date.now()) / 1000)
  const seconds = Math.min(Math.max(1, left), MAX_COOKIE_AGE)
  const secure = visitor.scheme === 'https' ? '; Secure' : ''
  const path = `${route.prefix}/`
  return {
    location: samePlace(route.prefix + withoutToken(route.target)),
    cookie: `${TOKEN_COOKIE}=${token}; Path=${path}; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`,
  }
}

/** A path that begins with two slashes would be read as the name of another host. */
function samePlace(path: string): string {
  return /^\/[^/\\\t]/.test(path) || path === '/' ? path : `/.${path}`
}
