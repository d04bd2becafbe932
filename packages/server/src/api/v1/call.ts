import type { IncomingHttpHeaders } from 'node:http'
import type { OperationName, operations } from '@caisson/protocol/operations'
import type { z } from 'zod'
import type { Stage } from '../../core/plan.ts'
import type { Output } from '../../sandboxes/use-cases.ts'
import type { BodyAnswer } from './body-stream.ts'
import type { FileAnswer } from './file-stream.ts'

type Table = typeof operations
type Parsed<N extends OperationName, K extends 'params' | 'query' | 'body'> = Table[N] extends {
  [P in K]: infer S extends z.ZodType
}
  ? z.output<S>
  : undefined

/** A request after the door: parsed, allowed. */
export interface Call<N extends OperationName> {
  params: Parsed<N, 'params'>
  query: Parsed<N, 'query'>
  body: Parsed<N, 'body'>
  /** The raw body of an upload. */
  upload: AsyncIterable<Uint8Array>
  idempotencyKey: string | undefined
  /** Headers that an operation may heed: ranges and conditions. */
  headers: IncomingHttpHeaders
  /** Aborts when the client has gone. */
  signal: AbortSignal
}

type Answer<N extends OperationName> = Table[N] extends { streams: 'execution' }
  ? { output: Output; stages?: Stage[] }
  : Table[N] extends { streams: 'bytes' }
    ? FileAnswer
    : Table[N] extends { streams: 'body' }
      ? BodyAnswer
      : Table[N] extends { output: infer S extends z.ZodType }
        ? { json: z.input<S>; stages?: Stage[] }
        : undefined

/** The operations that one request answers; `connectExecution` lives in websocket.ts. */
export type RequestName = {
  [N in OperationName]: Table[N] extends { streams: 'websocket' } ? never : N
}[OperationName]

/** One handler an operation: a missing one does not compile. */
export type Handlers = { [N in RequestName]: (call: Call<N>) => Promise<Answer<N>> }

export const once = (idempotencyKey: string | undefined) =>
  idempotencyKey === undefined ? {} : { idempotencyKey }

export async function done(work: Promise<void>): Promise<undefined> {
  await work
  return undefined
}
