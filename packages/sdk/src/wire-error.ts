import { ERRORS, type ErrorBody, type ErrorCode, SandboxError } from '@caisson/protocol/errors'

/**
 * An error that a server sent. Its code may be newer than this SDK, so status and `retry` come from the wire and not
 * from the table.
 */
class WireError extends SandboxError {
  readonly #status: number
  readonly #retry: boolean

  constructor(body: ErrorBody['error'], status: number) {
    super(body.code as ErrorCode, body.details as never, { message: body.message })
    this.#status = status
    this.#retry = body.retry
  }

  override get status(): number {
    return this.#status
  }

  override get retry(): boolean {
    return this.#retry
  }
}

/** Rebuilds the typed error from an error body; an answer that is none (a proxy's page) becomes `connection_lost`. */
export function errorFromWire(value: unknown, status?: number): SandboxError {
  const error = (value as Partial<ErrorBody> | undefined)?.error
  if (typeof error?.code !== 'string' || typeof error.message !== 'string') {
    const what = `the request: something that is not a Caisson server answered${status === undefined ? '' : ` with status ${status}`}`
    return new SandboxError('connection_lost', { what })
  }
  const known = (ERRORS as Record<string, { status: number } | undefined>)[error.code]
  const body = {
    code: error.code,
    message: error.message,
    retry: error.retry === true,
    details: error.details ?? {},
  }
  return new WireError(body, status ?? known?.status ?? 500)
}
