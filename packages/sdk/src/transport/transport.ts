import { SandboxError } from '@caisson/protocol/errors'

/** What a request carries: text and bytes go out in one write, an iterable is streamed with back-pressure. */
export type Body = string | Uint8Array | AsyncIterable<Uint8Array>

export interface TransportRequest {
  method: string
  /** Path and query. */
  path: string
  headers: Record<string, string>
  body?: Body | undefined
  /** Bytes of the body, where they are known before it is produced. */
  length?: number | undefined
}

export interface TransportResponse {
  status: number
  header(name: string): string | undefined
  /** What the server says after the body; absent where trailers cannot be read. */
  trailer?(name: string): string | undefined
  /** Reading pulls from the connection; leaving the loop early closes it. */
  body: AsyncIterable<Uint8Array>
}

/** An open WebSocket of binary messages. Iterating ends when it closes and throws when it breaks. */
export interface Channel extends AsyncIterable<Uint8Array> {
  /** Resolves when the bytes have left this process. */
  send(data: Uint8Array): Promise<void>
  close(): void
}

/**
 * How requests reach a server. Implementations throw `server_unreachable` when nothing was sent, `connection_lost`
 * when it is not known what the server did, `aborted` when the signal fired; they refuse redirects, which could
 * carry the key to another host.
 */
export interface Transport {
  /** For messages. */
  readonly url: string
  /** Whether a body is sent while it is produced; if not, it is gathered first. */
  readonly streamsUploads: boolean
  request(request: TransportRequest, signal?: AbortSignal): Promise<TransportResponse>
  connect(path: string, apiKey: string | undefined, signal?: AbortSignal): Promise<Channel>
  close(): void
}

export function refuseRedirect(status: number, url: string): void {
  if (status < 300 || status > 399) return
  const reason = `it answered with a redirect (${status}), which could carry the API key elsewhere`
  throw new SandboxError('server_unreachable', { url, reason })
}

/** A name for a request in messages. */
export const nameOf = (request: TransportRequest): string =>
  `${request.method} ${request.path.split('?', 1)[0] ?? ''}`

export async function gather(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return concat(parts)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
