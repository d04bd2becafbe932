import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import type { Access } from '../access.ts'
import type { Beside } from '../listeners.ts'
import { sendFile } from '../v1/file-stream.ts'
import { Gate } from './access.ts'
import { allowEveryOrigin, answerPreflight, isPreflight } from './cors.ts'
import { endWhenRead, Refused, refuse, sendJson, toRefused } from './errors.ts'
import { bodyOf, readJson } from './input.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { Router } from './router.ts'
import { routesOf } from './routes.ts'
import { isDaemon, isOurs, pathOf, type Target, targetOf } from './target.ts'

export interface E2bOptions {
  useCases: UseCases
  access: Access
  log: Log
  metrics: Metrics
  /** Hosts are `<port>-<id>.<domain>`; in lower case. */
  domain: string
  /** Address of the TCP listener; null as long as there is none. */
  url(): string | null
  volumeIdIsCapability: boolean
}

const CREATES: readonly string[] = ['sandboxes.create', 'sandboxes.createV2']

/** What is known of a request when it is refused, or answered. */
interface Progress {
  route: string
  sandbox: string
}

/** The API of E2B, and of Moru, over the same use cases as our own, beside it on the TCP port. */
export class E2bDialect implements Beside {
  readonly routes: readonly Route[]
  readonly #options: E2bOptions
  readonly #gate: Gate
  readonly #daemon: Router
  readonly #control: Router
  readonly #streams = new Set<ServerResponse>()

  constructor(options: E2bOptions) {
    this.#options = options
    this.#gate = new Gate(options.access, options.useCases)
    this.routes = routesOf(dialectOf(options))
    this.#daemon = new Router(this.routes.filter(isDaemon))
    this.#control = new Router(this.routes.filter((route) => !isDaemon(route)))
  }

  takes(request: IncomingMessage): boolean {
    return isOurs(request, this.#options.domain)
  }

  /** Answers a request that it `takes`. */
  request(request: IncomingMessage, response: ServerResponse): void {
    void this.#answer(request, response)
  }

  /** These clients ask for no WebSocket here. */
  upgrade(_request: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => socket.destroy())
    const body = JSON.stringify({ code: 400, message: 'This is not served as a WebSocket' })
    socket.end(
      `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )
  }

  /** Breaks the streams: what they follow goes on. */
  close(): void {
    for (const response of this.#streams) response.destroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const progress: Progress = { route: 'unknown', sandbox: '' }
    const began = performance.now()
    try {
      await this.#serve(request, response, progress)
    } catch (error) {
      this.#refuse(response, error, progress)
    }
    const { log, metrics } = this.#options
    const operation = `e2b.${progress.route}`
    const status = response.statusCode
    metrics.answered(operation, status)
    log.debug({ operation, status, ms: performance.now() - began }, 'answered')
  }

  async #serve(request: IncomingMessage, response: ServerResponse, progress: Progress): Promise<void> {
    // Before the first wait, in which the client may go.
    const signal = leaving(response)
    allowEveryOrigin(response)
    const target = this.#targetOf(request)
    if (target.form !== 'host') this.#options.access.admitHost(request)
    if (isPreflight(request)) return answerPreflight(request, response)
    const { route, params } = this.#find(request, response, target)
    progress.route = route.name
    const query = queryOf(request)
    progress.sandbox = isDaemon(route) ? (target.sandbox ?? '') : ''
    const sandbox = await this.#gate.admit({ request, route, target, params, query })
    progress.sandbox = sandbox
    const upload = bodyOf(request, response)
    const body = route.body && (await readJson(route.body, upload))
    const call: Call = { client: target.client, params, query, body, sandbox, upload, request, signal }
    const began = performance.now()
    const answer = await route.handle(call)
    if (CREATES.includes(route.name)) this.#options.metrics.created((performance.now() - began) / 1000)
    await this.#send(response, answer, signal)
  }

  #targetOf(request: IncomingMessage): Target {
    try {
      return targetOf(request, this.#options.domain)
    } catch (error) {
      throw new PlainRefusal(toRefused(error, '').message)
    }
  }

  /** What a sandbox is named for is its daemon's; other routes of the daemon say by a token which they mean. */
  #find(
    request: IncomingMessage,
    response: ServerResponse,
    target: Target,
  ): { route: Route; params: Record<string, string> } {
    const { method = '' } = request
    const path = pathOf(request)
    const found =
      this.#daemon.find(method, path) ?? (target.sandbox === null ? this.#control.find(method, path) : null)
    if (found === null) throw new Refused(404, `There is no route ${method} ${path.slice(0, 200)}`)
    if ('route' in found) return found
    const allowed = found.allowed.join(', ')
    response.setHeader('allow', allowed)
    throw new Refused(405, `${path.slice(0, 200)} takes ${allowed}`)
  }

  async #send(response: ServerResponse, answer: Answer, signal: AbortSignal): Promise<void> {
    if ('stream' in answer) return this.#stream(response, answer.stream)
    if ('json' in answer) return sendJson(response, answer.status ?? 200, answer.json, answer.headers)
    if ('data' in answer) {
      const { headers, data } = answer
      const length = headers['content-length'] === undefined ? null : Number(headers['content-length'])
      const status = (answer.status ?? 200) as 200
      return sendFile(response, { status, headers, length, data }, {}, signal)
    }
    response.writeHead(answer.status)
    response.end()
  }

  async #stream(response: ServerResponse, work: (response: ServerResponse) => Promise<void>): Promise<void> {
    this.#streams.add(response)
    try {
      await work(response)
    } finally {
      this.#streams.delete(response)
    }
  }

  #refuse(response: ServerResponse, error: unknown, progress: Progress): void {
    if (response.destroyed) return
    if (error instanceof PlainRefusal) {
      response.writeHead(400, { 'content-type': 'text/plain; charset=utf-8' })
      response.write(error.message)
      endWhenRead(response)
      return
    }
    const refusal = toRefused(error, progress.sandbox)
    if (refusal.status === 500)
      this.#options.log.error({ operation: `e2b.${progress.route}`, err: error }, 'a request failed')
    refuse(response, refusal)
  }
}

/** Of a request that cannot even be told whose it is. */
class PlainRefusal extends Error {}

function dialectOf({ useCases, domain, url, volumeIdIsCapability }: E2bOptions): Dialect {
  return {
    useCases,
    domain: () => {
      const port = new URL(url() ?? 'http://localhost').port
      return port === '' ? domain : `${domain}:${port}`
    },
    url: (path) => new URL(path, url() ?? 'http://localhost').href,
    volumeIdIsCapability,
  }
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const mark = url.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
}

/** Aborts when the connection closes before the answer is complete. */
function leaving(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller.signal
}
