import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ErrorCode, SandboxError } from '@caisson/protocol/errors'
import { isNavigation } from './admission.ts'

/** Milliseconds that a refused client has for the rest of its body, so that it gets to read the answer. */
const LINGER = 10_000

/** What a reverse proxy is expected to say when there is nobody behind it. */
const BAD_GATEWAY: readonly ErrorCode[] = [
  'port_closed',
  'agent_lost',
  'port_not_exposed',
  'sandbox_not_found',
  'sandbox_ended',
]

/** What may pass: it is paused, or on its way somewhere. */
const UNAVAILABLE: readonly ErrorCode[] = ['invalid_transition', 'resume_failed']
/** Seconds after which it is worth asking again. */
const RETRY_AFTER: Partial<Record<ErrorCode, string>> = {
  too_many: '1',
  invalid_transition: '30',
  resume_failed: '30',
}

const TITLES: Partial<Record<ErrorCode, string>> = {
  port_closed: 'Nothing answers on this port yet',
  agent_lost: 'The sandbox does not answer',
  port_not_exposed: 'This port is not exposed',
  sandbox_not_found: 'There is no such sandbox',
  sandbox_ended: 'The sandbox has ended',
  port_denied: 'This port is private',
  too_many: 'Too much at once',
  invalid_transition: 'The sandbox does not run',
  resume_failed: 'The sandbox could not be resumed',
}

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}' +
  'h1{font-size:1.4em}code{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}'
const STYLE_DIGEST = createHash('sha256').update(STYLE).digest('base64')

/** How programs are told: a status and a JSON body. */
export interface Told {
  status: number
  body: unknown
}

/** Refuses a request: with a page for people, in JSON for programs. What has begun already is broken off. */
export function answerError(
  request: IncomingMessage,
  response: ServerResponse,
  error: SandboxError,
  { status, body: told }: Told = { status: statusOf(error), body: error.toJSON() },
): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const page = isNavigation(request)
  const body = Buffer.from(page ? pageOf(error) : JSON.stringify(told))
  response.sendDate = true
  // An answer of the program may have left its own, with which nothing could be sent.
  response.statusMessage = ''
  const retryAfter = RETRY_AFTER[error.code]
  response.writeHead(status, {
    'Content-Type': `${page ? 'text/html' : 'application/json'}; charset=utf-8`,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; frame-ancestors 'none'`,
    ...(retryAfter !== undefined && { 'Retry-After': retryAfter }),
  })
  response.end(body)
  dropRest(request)
}

export function statusOf({ code, status }: SandboxError): number {
  if (BAD_GATEWAY.includes(code)) return 502
  return UNAVAILABLE.includes(code) ? 503 : status
}

/** Sends a browser elsewhere on the same host. */
export function answerRedirect(
  response: ServerResponse,
  status: 302 | 308,
  location: string,
  cookie?: string,
): void {
  response.sendDate = true
  response.writeHead(status, {
    Location: location,
    'Content-Length': 0,
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    ...(cookie !== undefined && { 'Set-Cookie': cookie }),
  })
  response.end()
}

/**
 * Reads and drops the rest of a body that nobody wants: closing at once would make the kernel throw away the answer
 * together with the unread bytes. A client that goes on for too long is cut off.
 */
export function dropRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  const timer = setTimeout(() => request.socket.destroy(), LINGER).unref()
  request.once('close', () => clearTimeout(timer))
  request.unpipe()
  request.resume()
}

function pageOf(error: SandboxError): string {
  const title = TITLES[error.code] ?? 'This request was refused'
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${title}</title><style>${STYLE}</style>` +
    `<h1>${title}</h1><p>${escapeHtml(error.message)}</p><p><code>${error.code}</code></p></html>\n`
  )
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
}
