import { SandboxError } from '@caisson/protocol/errors'
import type { DoctorReport } from '@caisson/protocol/resources'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { UseCases } from '../sandboxes/use-cases.ts'
import { Access } from './access.ts'
import { allowOrigin, answerPreflight, isPreflight } from './cors.ts'
import { E2bDialect, type E2bOptions } from './e2b/app.ts'
import { drain, shorten, toSandboxError } from './errors.ts'
import { type Beside, Listeners } from './listeners.ts'
import { type Readiness, registerService } from './service.ts'
import { createHandlers } from './v1/handlers.ts'
import { registerOperations } from './v1/routes.ts'
import { ExecutionSockets } from './v1/websocket.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** An operation or a service route: what metrics count by. */
    name?: string
  }
}

export interface ApiOptions {
  useCases: UseCases
  log: Log
  metrics: Metrics
  version: string
  doctor(): Promise<DoctorReport>
  /** Asked by `stopServer`; called after its answer was sent. */
  stop(): void
  ready(): Readiness
  /** Host names beside localhost that requests over TCP may name. */
  allowedHosts?: readonly string[]
  /** Origins of web pages that may call the API, such as `https://console.example`. */
  allowedOrigins?: readonly string[]
  /** Clients of E2B and Moru are served on the same TCP port. */
  e2b?: Pick<E2bOptions, 'domain' | 'url' | 'volumeIdIsCapability'>
  /** Served on the same TCP port. */
  beside?: Beside
  /** Check answers against their schemas too: for tests and development. */
  checkAnswers?: boolean
}

/** The HTTP API: one application behind a unix socket, loopback TCP, or both. */
export interface Api {
  readonly app: FastifyInstance
  readonly listeners: Listeners
  /** Stops listening, lets short requests finish, breaks streams: their clients continue from their last offset. */
  close(): Promise<void>
}

/** Builds the application; nothing listens yet. */
export async function createApi(options: ApiOptions): Promise<Api> {
  const { useCases, log, metrics, version, ready } = options
  const access = new Access({
    authenticate: (secret) => useCases.authenticate(secret),
    ...(options.allowedHosts && { allowedHosts: options.allowedHosts }),
    ...(options.allowedOrigins && { allowedOrigins: options.allowedOrigins }),
  })
  const app = createApp(log)
  addHooks(app, access, metrics, log)
  registerService(app, { access, metrics, version, ready })
  const handlers = createHandlers(options)
  const checkAnswers = options.checkAnswers ?? false
  await registerOperations(app, { handlers, access, metrics, log, checkAnswers })
  await app.ready()
  const sockets = new ExecutionSockets({ useCases, access, metrics })
  const { e2b, beside } = options
  const dialect = e2b && new E2bDialect({ ...e2b, useCases, access, log, metrics })
  const others = [dialect, beside].filter((other) => other !== undefined)
  const listeners = new Listeners(app, sockets, access, others)
  return {
    app,
    listeners,
    close: async () => {
      await listeners.close()
      await app.close()
    },
  }
}

function createApp(log: Log): FastifyInstance {
  let requests = 0
  return fastify({
    logger: false,
    requestIdHeader: false,
    genReqId: () => `req_${++requests}`,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // Queries are parsed by the door, strictly; this saves doing it twice.
    routerOptions: { maxParamLength: 8192, querystringParser: () => ({}) },
    frameworkErrors: (error, request, reply) => {
      void answerError(log, error, request, reply)
    },
  })
}

function addHooks(app: FastifyInstance, access: Access, metrics: Metrics, log: Log): void {
  app.removeAllContentTypeParsers()
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff')
    access.admit(request.raw)
    allowOrigin(access, request, reply)
    if (isPreflight(access, request)) return answerPreflight(reply)
  })
  app.addHook('onResponse', async ({ routeOptions, id }, reply) => {
    const operation = routeOptions.config.name ?? 'unknown'
    metrics.answered(operation, reply.raw.statusCode)
    log.debug({ request: id, operation, status: reply.raw.statusCode, ms: reply.elapsedTime }, 'answered')
  })
  app.setErrorHandler((error, request, reply) => answerError(log, error, request, reply))
  app.setNotFoundHandler((request, reply) => {
    const route = shorten(`${request.method} ${request.url.replace(/\?.*$/s, '')}`)
    return answerError(log, new SandboxError('route_not_found', { route }), request, reply)
  })
}

function answerError(log: Log, cause: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = toSandboxError(cause, request.id, request.routeOptions?.bodyLimit)
  const operation = request.routeOptions?.config?.name
  if (error.status >= 500) log.error({ request: request.id, operation, err: cause }, error.message)
  drain(request.raw)
  // The framework would close the connection while a refused body is still on its way, and the answer be lost.
  reply.removeHeader('connection')
  if (error.retry && (error.status === 429 || error.status === 503)) reply.header('retry-after', '1')
  return reply.code(error.status).send(error.toJSON())
}
