import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Access } from './access.ts'

const PREFLIGHT = {
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': 'authorization, content-type, idempotency-key',
  'access-control-max-age': '600',
}

/** Headers for pages of a configured origin; without configured origins nothing is ever sent. */
export function allowOrigin(access: Access, request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers
  if (origin === undefined || !access.allows(origin)) return
  reply.header('access-control-allow-origin', origin)
  reply.header('access-control-expose-headers', 'server-timing, caisson-auto-resumed, x-caisson-file')
  reply.header('vary', 'origin')
}

/** Whether this asks, on behalf of a page of a configured origin, what it may send. */
export function isPreflight(access: Access, { method, headers }: FastifyRequest): boolean {
  if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return false
  return headers.origin !== undefined && access.allows(headers.origin)
}

export function answerPreflight(reply: FastifyReply): FastifyReply {
  return reply.code(204).headers(PREFLIGHT).send()
}
