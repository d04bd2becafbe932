import { type ErrorCode, SandboxError } from '@caisson/protocol/errors'
import { isGone, messageOf, Refused } from './errors.ts'

/** Codes of the Connect protocol and the HTTP statuses that unary answers have with them (connectrpc.com/docs/protocol). */
const STATUS = {
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
} as const
export type ConnectCode = keyof typeof STATUS

/** What a remote procedure fails with. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  readonly code: ConnectCode

  constructor(code: ConnectCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  get status(): number {
    return STATUS[this.code]
  }

  toJSON(): { code: ConnectCode; message: string } {
    return { code: this.code, message: this.message }
  }
}

const CODES: Partial<Record<ErrorCode, ConnectCode>> = {
  invalid_request: 'invalid_argument',
  command_not_found: 'invalid_argument',
  cannot_start: 'invalid_argument',
  file_wrong_type: 'invalid_argument',
  execution_not_found: 'not_found',
  execution_ended: 'not_found',
  file_not_found: 'not_found',
  file_exists: 'already_exists',
  file_denied: 'permission_denied',
  directory_not_empty: 'failed_precondition',
  not_supported: 'unimplemented',
  too_many: 'resource_exhausted',
  payload_too_large: 'resource_exhausted',
  aborted: 'canceled',
}

const STATUS_CODES: Record<number, ConnectCode> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  409: 'already_exists',
  429: 'resource_exhausted',
  501: 'unimplemented',
}

/** @returns null for what is no refusal: the sandbox has gone, or the server failed */
export function toConnectError(error: unknown): ConnectError | null {
  if (error instanceof ConnectError) return error
  if (error instanceof Refused) {
    const code = STATUS_CODES[error.status]
    return code === undefined ? null : new ConnectError(code, error.message, { cause: error })
  }
  if (!(error instanceof SandboxError) || isGone(error) || error.code === 'internal') return null
  const { code }: SandboxError = error
  return new ConnectError(CODES[code] ?? 'internal', messageOf(error), { cause: error })
}
