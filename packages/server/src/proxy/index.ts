import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { addressList } from '../address-list.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { malformed, type PortRoute, routeOf } from '../port-route.ts'
import type { OpenPort, UseCases } from '../sandboxes/use-cases.ts'
import { admit } from './admission.ts'
import { answerError, answerRedirect } from './answer.ts'
import { toldAsForeign } from './foreign.ts'
import { type Exchange, forward } from './forward.ts'
import { hasBody } from './headers.ts'
import { Limits } from './limits.ts'
import { Pools } from './pool.ts'
import { tunnel } from './tunnel.ts'
import { visitorOf } from './visitor.ts'

/** More fields than a head has reason to have. */
const MAX_HEADERS = 256

export interface PreviewOptions {
  useCases: Pick<UseCases, 'reachPort' | 'admittedBy'>
  log: Log
  /** Hosts are `<port>-<id>.<domain>`; in lower case. */
  domain: string
  trustedProxies: readonly string[]
  metrics: Pick<Metrics, 'answered'>
}

/** What is done with a request that was let in. */
type Work = (exchange: Exchange) => Promise<void>

/** The exposed ports of sandboxes: requests that are not for the API, on the same port as the API's. */
export class Previews {
  readonly #options: PreviewOptions
  readonly #isTrusted: (address: string) => boolean
  readonly #pools = new Pools()
  readonly #limits = new Limits()

  constructor(options: PreviewOptions) {
    this.#options = options
    this.#isTrusted = addressList(options.trustedProxies)
  }

  /** Whether a request is for an exposed port, or so malformed that it is for nobody. */
  takes(request: IncomingMessage): boolean {
    try {
      return routeOf(request, this.#options.domain) !== null
    } catch {
      return true
    }
  }

  /** Answers a request that it `takes`. */
  request(request: IncomingMessage, response: ServerResponse): void {
    void this.#answer(request, response, forward)
  }

  /** Answers a request for a WebSocket that it `takes`. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    // It came before the answer to an earlier request over this connection: where that ends nobody could tell.
    if ((socket as Socket & { _httpMessage?: unknown })._httpMessage) {
      socket.destroy()
      return
    }
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket as Socket)
    response.once('finish', () => socket.end())
    const work: Work = (exchange) => {
      if (request.method !== 'GET' || hasBody(request))
        throw malformed('Upgrade', 'only a GET without a body becomes a WebSocket')
      return tunnel({ ...exchange, socket, head })
    }
    void this.#answer(request, response, work)
  }

  /** Cuts everything. */
  close(): void {
    this.#pools.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse, work: Work): Promise<void> {
    try {
      await this.#serve(request, response, work)
    } catch (error) {
      this.#refuse(request, response, error)
    }
    this.#options.metrics.answered('port', response.statusCode)
  }

  async #serve(request: IncomingMessage, response: ServerResponse, work: Work): Promise<void> {
    const { domain, useCases } = this.#options
    const route = routeOf(request, domain) as PortRoute
    assertWellFormed(request)
    if (route.form === 'path' && !route.target.startsWith('/'))
      return answerRedirect(response, 308, `${route.prefix}/${route.target}`)
    const reached = await useCases.reachPort(route.sandbox, route.port)
    const visitor = visitorOf(request, this.#isTrusted)
    const redirect = admit(reached, { request, route, visitor, domain })
    if (redirect !== null) return answerRedirect(response, 302, redirect.location, redirect.cookie)
    const leave = this.#limits.enter(reached.sandbox)
    try {
      const open = await reached.awake()
      const pool = this.#pools.of(open, route.port)
      const isSecret = (value: string) =>
        reached.admittedUntil(value) !== null || useCases.admittedBy(value) !== null
      const { host } = reached
      await this.#hold(open, response, () =>
        work({ request, response, route, visitor, host, isSecret, pool }),
      )
    } finally {
      leave()
    }
  }

  async #hold(open: OpenPort, response: ServerResponse, work: () => Promise<void>): Promise<void> {
    const release = open.hold()
    try {
      if (!response.destroyed) await work()
    } finally {
      release()
    }
  }

  #refuse(request: IncomingMessage, response: ServerResponse, cause: unknown): void {
    const known = cause instanceof SandboxError
    if (!known) this.#options.log.error({ err: cause }, 'a request to an exposed port failed')
    const error = known ? cause : new SandboxError('internal', { request: 'preview' }, { cause })
    if (response.destroyed) return
    const route = this.#routeOf(request)
    const foreign = route !== null && route.client !== 'caisson'
    answerError(request, response, error, foreign ? toldAsForeign(route, error) : undefined)
  }

  /** null for what leads nowhere, too. */
  #routeOf(request: IncomingMessage): PortRoute | null {
    try {
      return routeOf(request, this.#options.domain)
    } catch {
      return null
    }
  }
}

/** @throws SandboxError `invalid_request` for what a program behind could read in another way */
function assertWellFormed(request: IncomingMessage): void {
  const { headers, headersDistinct, rawHeaders } = request
  if (headersDistinct.host?.length !== 1) throw malformed('Host', 'must be there, once')
  if (rawHeaders.length > 2 * MAX_HEADERS) throw malformed('', `a head has at most ${MAX_HEADERS} fields`)
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw malformed('Transfer-Encoding', 'only chunked is understood')
}
