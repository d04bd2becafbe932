import type { IncomingMessage } from 'node:http'

/** Where a client puts the token of a private port. None of them reaches the program. */
export const TOKEN_HEADERS = ['caisson-port-token', 'e2b-traffic-access-token', 'moru-traffic-access-token']
/** The token of a sandbox itself opens its ports as well. Programs may have a header of this name, too. */
export const ACCESS_HEADER = 'x-access-token'
export const TOKEN_COOKIE = 'caisson_port_token'
const TOKEN_QUERY = 'caisson_token'

/** More cookies of this name than a browser has reason to send are not looked at. */
const MAX_COOKIES = 4

export interface Tokens {
  headers: string[]
  query: string | undefined
  /** Of the port's own host and, if somebody has set such, of the domains above it. */
  cookies: string[]
}

export function tokensOf({ headers }: IncomingMessage, target: string): Tokens {
  const named = [...TOKEN_HEADERS, ACCESS_HEADER].map((name) => headers[name])
  const query = queryParts(target).find(isToken)
  return {
    headers: named.filter((value) => typeof value === 'string'),
    query: query?.slice(query.indexOf('=') + 1),
    cookies: cookieParts(headers.cookie ?? '')
      .filter(isTokenCookie)
      .slice(0, MAX_COOKIES)
      .map((part) => part.slice(part.indexOf('=') + 1).trim()),
  }
}

/** The target without the token; every other byte stays as it is. */
export function withoutToken(target: string): string {
  const at = target.indexOf('?')
  if (at === -1) return target
  const parts = queryParts(target)
  const kept = parts.filter((part) => !isToken(part))
  if (kept.length === parts.length) return target
  return kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join('&')}`
}

/** The value of a Cookie header without the token; null when nothing is left. */
export function withoutTokenCookie(cookie: string): string | null {
  const parts = cookieParts(cookie)
  const kept = parts.filter((part) => !isTokenCookie(part))
  if (kept.length === parts.length) return cookie
  return kept.length === 0 ? null : kept.join(';').trimStart()
}

const queryParts = (target: string): string[] => {
  const at = target.indexOf('?')
  return at === -1 ? [] : target.slice(at + 1).split('&')
}

const cookieParts = (cookie: string): string[] => cookie.split(';')

/** A program may read `%63aisson_token` as the same name, so that is taken away as well. */
function isToken(part: string): boolean {
  const name = part.split('=', 1)[0] as string
  return name.length <= 3 * TOKEN_QUERY.length && decode(name) === TOKEN_QUERY
}

function isTokenCookie(part: string): boolean {
  return part.split('=', 1)[0]?.trim() === TOKEN_COOKIE
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
