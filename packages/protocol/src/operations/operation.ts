import { z } from 'zod'
import type { ErrorCode } from '../errors.ts'
import type { Scope } from '../resources.ts'

/** One operation. The server's routes, OpenAPI, the SDK's routes, the CLI's reference and the authorisation tests follow from it. */
export interface Operation {
  summary: string
  /** `METHOD /path`; `{name}` is a path parameter, taken from the input. */
  http: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /v1/${string}`
  /** The scope that a key needs; `signature`: no key, the path itself is signed; `public`: no key, what is there is for everybody. */
  scope: Scope | 'signature' | 'public'
  /** Path parameters. */
  params?: z.ZodObject
  query?: z.ZodObject
  /** JSON body. */
  body?: z.ZodObject
  /** Raw bytes in the request's body instead of JSON. */
  upload?: true
  /** JSON answer; absent: 204. */
  output?: z.ZodType
  /** Instead of a JSON answer: the execution stream (see stream.ts), a file's bytes, a body of the media type `type`, or a WebSocket of execution messages. */
  streams?: 'execution' | 'bytes' | 'body' | 'websocket'
  /** Media type of a streamed body. */
  type?: string
  status?: 200 | 201 | 204
  /** The operation takes an `Idempotency-Key` header: a repeat returns the first result. */
  idempotent?: true
  errors: readonly ErrorCode[]
}

/** A row of the table, with its own types. */
export const define = <const O extends Operation>(operation: O): O => operation

export const reference = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
export const byId = z.object({ id: reference.meta({ description: 'Id or name.' }) })
export const flag = z.enum(['true', 'false']).transform((v) => v === 'true')
export const count = (fallback: number, max: number) =>
  z.coerce.number().int().min(0).max(max).default(fallback)
export const page = {
  limit: z.coerce.number().int().min(1).max(100).default(50),
  offset: count(0, Number.MAX_SAFE_INTEGER),
}
export const live = [
  'sandbox_not_found',
  'sandbox_ended',
  'invalid_transition',
  'agent_lost',
  'resume_failed',
] as const
