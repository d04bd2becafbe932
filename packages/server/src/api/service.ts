import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'
import type { Access } from './access.ts'

export interface ServiceOptions {
  access: Access
  metrics: Metrics
  version: string
  ready(): Readiness
}

/** Whether sandboxes of an earlier server have been found again and the driver is open. */
export type Readiness = { ready: true } | { ready: false; reason: string }

/** What operators and programs ask beside the operations. */
export function registerService(app: FastifyInstance, options: ServiceOptions): void {
  const { access, metrics, version, ready } = options
  const read = ({ raw }: { raw: Parameters<Access['authorise']>[0] }) => access.authorise(raw, 'read')

  app.get('/healthz', { config: { name: 'healthz' } }, async () => ({ status: 'ok' }))

  app.get('/readyz', { config: { name: 'readyz' }, onRequest: read }, async (_, reply) => {
    const state = ready()
    return state.ready
      ? { status: 'ready' }
      : reply.code(503).send({ status: 'not ready', reason: state.reason })
  })

  app.get('/metrics', { config: { name: 'metrics' }, onRequest: read }, async (_, reply) => {
    const { contentType, text } = await metrics.render()
    return reply.type(contentType).send(text)
  })

  let document: string | undefined
  app.get('/v1/openapi.json', { config: { name: 'openapi' } }, async (_, reply) => {
    // Loaded when it is first asked for: few servers ever are, and the generator is not small.
    document ??= JSON.stringify((await import('./v1/openapi.ts')).buildOpenApi(version))
    return reply.type('application/json').send(document)
  })
}
