import type { ServerResponse } from 'node:http'
import { drained } from '../../drained.ts'

/** A body whose length nobody knows before its end. */
export interface BodyAnswer {
  body: AsyncIterable<Uint8Array>
  /** Media type; default: the operation's. */
  type?: string
  headers?: Record<string, string>
  /** Told after the body. Names are announced in the `Trailer` header. */
  trailers?: { names: string[]; values(): Record<string, string> }
}

/** Bytes that wait in an answer before its source does. One piece at a time would leave the socket idle in between. */
const MAX_WAITING = 1024 * 1024

/** Sends a body in constant memory; a failure on the way breaks the connection, so that no part is taken for the whole. */
export async function sendBody(
  response: ServerResponse,
  answer: BodyAnswer,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const { body, trailers } = answer
  response.writeHead(200, {
    ...headers,
    ...answer.headers,
    'x-accel-buffering': 'no',
    ...(trailers && { trailer: trailers.names.join(', ') }),
  })
  response.flushHeaders()
  try {
    await pump(response, body, Number.POSITIVE_INFINITY, signal)
    if (signal.aborted) return void response.destroy()
    if (trailers) response.addTrailers(trailers.values())
    response.end()
  } catch {
    // The status has been sent: only a broken connection can still tell the client.
    response.destroy()
  }
}

/** Writes at most `limit` bytes at the pace of the client, until it has gone. @returns how many were written. */
export async function pump(
  response: ServerResponse,
  data: AsyncIterable<Uint8Array>,
  limit: number,
  signal: AbortSignal,
): Promise<number> {
  let sent = 0
  for await (const bytes of data) {
    if (signal.aborted) break
    const piece = bytes.length <= limit - sent ? bytes : bytes.subarray(0, limit - sent)
    sent += piece.length
    if (piece.length > 0 && !response.write(piece) && response.writableLength >= MAX_WAITING)
      await drained(response)
    if (sent === limit) break
  }
  return sent
}
