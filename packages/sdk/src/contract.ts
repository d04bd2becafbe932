import type { operations } from '@caisson/protocol/operations'
import type { z } from 'zod'

/** Types of the calls, derived from the table of operations; nothing of it exists at run time. */
type Operations = typeof operations

export type OperationName = keyof Operations

type Part<N extends OperationName, K extends string> =
  Operations[N] extends Record<K, infer T extends z.ZodType> ? T : never

type Params<N extends OperationName> = [Part<N, 'params'>] extends [never]
  ? unknown
  : z.input<Part<N, 'params'>>
type Query<N extends OperationName> = [Part<N, 'query'>] extends [never]
  ? unknown
  : { [K in keyof z.output<Part<N, 'query'>>]?: z.output<Part<N, 'query'>>[K] | undefined }
type JsonBody<N extends OperationName> = [Part<N, 'body'>] extends [never]
  ? unknown
  : z.input<Part<N, 'body'>>

/** Path parameters, query and JSON body of an operation, in one object. */
export type InputOf<N extends OperationName> = Params<N> & Query<N> & JsonBody<N>

/** The JSON answer of an operation; `undefined` when it has none. */
export type OutputOf<N extends OperationName> = [Part<N, 'output'>] extends [never]
  ? undefined
  : z.output<Part<N, 'output'>>
