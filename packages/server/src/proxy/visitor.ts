import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

/** Who asks, and what they asked for, seen through the reverse proxies that are trusted. */
export interface Visitor {
  /** For X-Forwarded-For. */
  addresses: string
  scheme: 'http' | 'https'
  /** For X-Forwarded-Host. */
  host: string
}

/** @param isTrusted whether what this address says of others is believed */
export function visitorOf(request: IncomingMessage, isTrusted: (address: string) => boolean): Visitor {
  const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
  const { headers } = request
  const direct: Visitor = {
    addresses: peer,
    scheme: (request.socket as TLSSocket).encrypted === true ? 'https' : 'http',
    host: headers.host ?? '',
  }
  if (!isTrusted(peer)) return direct
  const before = textOf(headers['x-forwarded-for'])
  const scheme = textOf(headers['x-forwarded-proto'])?.toLowerCase()
  return {
    addresses: before === undefined ? peer : `${before}, ${peer}`,
    scheme: scheme === 'https' || scheme === 'http' ? scheme : direct.scheme,
    host: textOf(headers['x-forwarded-host']) ?? direct.host,
  }
}

const textOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined
