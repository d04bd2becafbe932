import type { ErrorCode } from './errors.ts'
import { executions } from './operations/executions.ts'
import { files } from './operations/files.ts'
import { network } from './operations/network.ts'
import { pauses } from './operations/pauses.ts'
import { runtimes } from './operations/runtimes.ts'
import { sandboxes } from './operations/sandboxes.ts'
import { server } from './operations/server.ts'
import { snapshots } from './operations/snapshots.ts'
import { templates } from './operations/templates.ts'
import { volumes } from './operations/volumes.ts'

export type { Operation } from './operations/operation.ts'

/**
 * Operations are declared once; the server's routes, OpenAPI, the SDK's routes, the CLI's reference and the
 * authorisation tests are projections of this table.
 */
export const operations = {
  ...sandboxes,
  ...pauses,
  ...snapshots,
  ...executions,
  ...network,
  ...files,
  ...volumes,
  ...templates,
  ...runtimes,
  ...server,
}

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
