import type { ServerResponse } from 'node:http'
import { type ErrorCode, SandboxError } from '@caisson/protocol/errors'
import { drain } from '../errors.ts'
import { toSandboxId } from './ids.ts'

/** A refusal as these clients are told of it: `{code, message}`, where the code is the status. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number
  readonly extra: object

  /** @param extra more fields of the body */
  constructor(status: number, message: string, extra: object = {}, options?: ErrorOptions) {
    super(message, options)
    this.status = status
    this.extra = extra
  }
}

/** What a daemon's address answers when there is nobody behind it: so clients know that a sandbox has ended. */
export function noSuchSandbox(id: string, cause?: unknown): Refused {
  return new Refused(502, 'The sandbox was not found', { sandboxId: shown(id) }, { cause })
}

/** A sandbox that does not run, or not any more, as its daemon's address sees it. */
const GONE: readonly ErrorCode[] = [
  'sandbox_not_found',
  'sandbox_ended',
  'agent_lost',
  'invalid_transition',
  'shutting_down',
]

/** Whether an error tells that nobody is behind a daemon's address. */
export function isGone(error: unknown): error is SandboxError {
  return error instanceof SandboxError && GONE.includes(error.code)
}

/** Statuses that differ from those of our own API. */
const STATUS: Partial<Record<ErrorCode, number>> = { sandbox_ended: 404 }

/** @param sandbox of a request to a daemon: its id; else empty */
export function toRefused(error: unknown, sandbox: string): Refused {
  if (error instanceof Refused) return error
  if (sandbox !== '' && isGone(error)) return noSuchSandbox(sandbox, error)
  if (!(error instanceof SandboxError))
    return new Refused(500, 'The server failed at this request; its log says why', {}, { cause: error })
  const { code, status }: SandboxError = error
  return new Refused(STATUS[code] ?? (status === 422 ? 400 : status), messageOf(error), {}, { cause: error })
}

/** The sentence of an error, without our own API's advice. */
export function messageOf(error: SandboxError): string {
  if (SandboxError.is(error, 'invalid_request'))
    return error.details.issues
      .map(({ path, message }) => (path ? `${path}: ${message}` : message))
      .join('; ')
  if (SandboxError.is(error, 'unauthenticated'))
    return 'No valid API key was given. Make one with "caisson keys create" and send it as X-API-KEY'
  return error.message
}

/** Sends a refusal; what has begun already is broken off. */
export function refuse(response: ServerResponse, { status, message, extra }: Refused): void {
  if (response.headersSent) response.destroy()
  else sendJson(response, status, { code: status, message, ...extra })
}

/**
 * Ends an answer when the rest of the request has been read: where the client wants the connection closed, ending it would
 * close it at once, and the kernel throw away the answer together with what was not read.
 */
export function endWhenRead(response: ServerResponse): void {
  const { req: request } = response
  if (request.complete || request.destroyed) {
    response.end()
    return
  }
  drain(request)
  request.once('end', () => response.end()).once('close', () => response.end())
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
  })
  response.write(body)
  endWhenRead(response)
}

function shown(id: string): string {
  return id.startsWith('sbx_') ? toSandboxId(id) : id.slice(0, 64)
}
