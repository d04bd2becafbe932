import type { IncomingMessage } from 'node:http'
import { SandboxError } from '@caisson/protocol/errors'
import type { z } from 'zod'

const MAX_ISSUES = 20
const MAX_TEXT = 300
/** Milliseconds that a refused client has for the rest of its body, so that it gets to read the answer. */
const LINGER = 10_000

/** A refusal of a request as it was sent; `path` names the field, parameter or header. */
export function invalid(path: string, message: string, cause?: unknown): SandboxError<'invalid_request'> {
  return new SandboxError('invalid_request', { issues: [{ path, message }] }, { cause })
}

/** Names the fields that are wrong; what a client sent is quoted only briefly. */
export function fromZod(error: z.ZodError): SandboxError<'invalid_request'> {
  const issues = error.issues.slice(0, MAX_ISSUES).map((issue) => ({
    path: shorten(issue.path.map(String).join('.')),
    message: shorten(issue.message),
  }))
  return new SandboxError('invalid_request', { issues })
}

/**
 * What a client is told about a failure. Anything that is not a row of the table is an `internal` error, and only
 * the log says what it was.
 * @param bodyLimit bytes that the route takes.
 */
export function toSandboxError(error: unknown, request: string, bodyLimit = 0): SandboxError {
  if (error instanceof SandboxError) return error
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new SandboxError('payload_too_large', { limit: bodyLimit, what: 'The body' })
  }
  if (isClientFault(code, statusCode)) return invalid('', shorten(message ?? 'malformed'), error)
  return new SandboxError('internal', { request }, { cause: error })
}

/** Fastify's own refusals, of a malformed address or header, are marked by their code. */
function isClientFault(code: string | undefined, status: number | undefined): boolean {
  return code?.startsWith('FST_') === true && status !== undefined && status >= 400 && status < 500
}

/**
 * Reads and drops the rest of a refused request's body: closing at once would make the kernel throw away the answer
 * together with the unread bytes. A client that goes on for too long is cut off.
 */
export function drain(raw: IncomingMessage): void {
  if (raw.complete || raw.destroyed) return
  const timer = setTimeout(() => raw.socket.destroy(), LINGER).unref()
  raw.once('close', () => clearTimeout(timer))
  // The stream leaves paused mode only after the listeners of its last reader are gone.
  setImmediate(() => raw.resume())
}

export function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`
}
