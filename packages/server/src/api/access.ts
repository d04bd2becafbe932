import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { SandboxError } from '@caisson/protocol/errors'
import type { Scope } from '@caisson/protocol/resources'
import { invalid, shorten } from './errors.ts'

const RANK: Record<Scope, number> = { read: 0, exec: 1, admin: 2 }
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']
/** Ours, and in the form that older clients of E2B insist on. */
const SECRET = /^(csk_[A-Za-z0-9_-]{16,200}|e2b_[0-9a-f]{40,200})$/
/** Browsers can not set headers on a WebSocket, so the key may come as a subprotocol. */
const KEY_PROTOCOL = 'caisson.key.'

export interface AccessOptions {
  authenticate(secret: string): Promise<{ scopes: Scope[] } | null>
  /** Host names beside the loopback ones that a request may name. */
  allowedHosts?: readonly string[]
  /** Origins of web pages that may call this API. */
  allowedOrigins?: readonly string[]
}

/** Who may do what: decided by where a connection came in, the address that it names, and its key. */
export class Access {
  readonly #options: AccessOptions
  readonly #trusted = new WeakSet<Socket>()
  readonly #hosts: Set<string>
  #anyAddress = false

  constructor(options: AccessOptions) {
    this.#options = options
    this.#hosts = new Set([...LOOPBACK, ...(options.allowedHosts ?? []).map((host) => host.toLowerCase())])
  }

  /** The connection came over the unix socket, which only its owner can open: it may do everything. */
  trust(socket: Socket): void {
    this.#trusted.add(socket)
  }

  /** Requests may name the address that is listened on; for a wildcard, any address but no name. */
  listensOn(host: string): void {
    if (host === '0.0.0.0' || host === '::') this.#anyAddress = true
    else this.#hosts.add(isIP(host) === 6 ? `[${host}]` : host.toLowerCase())
  }

  /**
   * Refuses what a web page could send: a page whose name was bound to this address (its name shows in Host), and a
   * page of another origin.
   * @throws SandboxError `invalid_request`
   */
  admit(request: IncomingMessage): void {
    if (this.#trusted.has(request.socket)) return
    const host = this.admitHost(request)
    const { origin } = request.headers
    if (origin === undefined || this.allows(origin)) return
    if (origin !== `http://${host}` && origin !== `https://${host}`) {
      throw invalid('Origin', `pages of "${shorten(origin)}" may not call this server`)
    }
  }

  /** Refuses a request that names another host than this. @returns the name. @throws SandboxError `invalid_request` */
  admitHost(request: IncomingMessage): string {
    const { host } = request.headers
    if (host === undefined || request.headersDistinct.host?.length !== 1 || !this.#knows(host))
      throw invalid('Host', `"${shorten(host ?? '')}" is no name of this server; see allowedHosts`)
    return host
  }

  /** Whether pages of this origin were configured to call the API. */
  allows(origin: string): boolean {
    return this.#options.allowedOrigins?.includes(origin) === true
  }

  /** @throws SandboxError `unauthenticated`, `forbidden` */
  async authorise(request: IncomingMessage, needs: Scope): Promise<void> {
    if (this.#trusted.has(request.socket)) return
    await this.authoriseKey(presentedKey(request), needs)
  }

  /** @param secret as it was presented, whatever it is. @throws SandboxError `unauthenticated`, `forbidden` */
  async authoriseKey(secret: string | undefined, needs: Scope): Promise<void> {
    const isSecret = secret !== undefined && SECRET.test(secret)
    const found = isSecret ? await this.#options.authenticate(secret) : null
    if (found === null) throw new SandboxError('unauthenticated', {})
    if (!found.scopes.some((scope) => RANK[scope] >= RANK[needs])) {
      throw new SandboxError('forbidden', { needs, has: found.scopes })
    }
  }

  #knows(host: string): boolean {
    const name = host.replace(/:\d{1,5}$/, '').toLowerCase()
    if (this.#hosts.has(name)) return true
    return this.#anyAddress && isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
  }
}

function presentedKey(request: IncomingMessage): string | undefined {
  return request.headers.authorization === undefined ? protocolKey(request) : bearer(request)
}

/** What `Authorization: Bearer` presents. */
export function bearer({ headers }: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

function protocolKey(request: IncomingMessage): string | undefined {
  if (request.headers.upgrade === undefined) return undefined
  const protocols = request.headers['sec-websocket-protocol']?.split(',') ?? []
  const offered = protocols.map((protocol) => protocol.trim()).find((p) => p.startsWith(KEY_PROTOCOL))
  return offered?.slice(KEY_PROTOCOL.length)
}
