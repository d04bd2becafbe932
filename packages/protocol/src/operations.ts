import type { ErrorCode } from './errors.ts'
import { executions } from './operations/executions.ts'
import { files } from './operations/files.ts'
import { network } from './operations/network.ts'
import { sandboxes } from './operations/sandboxes.ts'
import { server } from './operations/server.ts'

export type { Operation } from './operations/operation.ts'

/**
 * Operations are declared once; the server's routes, OpenAPI, the SDK's routes, the CLI's reference and the
 * authorisation tests are projections of this table.
 */
export const operations = { ...sandboxes, ...executions, ...network, ...files, ...server }

export type OperationName = keyof typeof operations

/** Errors that any operation may answer with, beside its own. */
export const COMMON_ERRORS = [
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'payload_too_large',
  'host_not_ready',
  'internal',
] as const satisfies readonly ErrorCode[]
