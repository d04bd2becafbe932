import type { ServerResponse } from 'node:http'
import { pump } from './body-stream.ts'

/** Bytes of a file, or the news that they are not sent: 304 and 416 have no body. */
export interface FileAnswer {
  status: 200 | 206 | 304 | 416
  headers: Record<string, string>
  /** Bytes that are sent; null: not known before the end. */
  length: number | null
  data: AsyncIterable<Uint8Array>
}

/**
 * Answers with a file's bytes. A file that turns out shorter than was announced breaks the connection, so that no client
 * takes a part for the whole. Leaving early cancels.
 */
export async function sendFile(
  response: ServerResponse,
  { status, headers, length, data }: FileAnswer,
  common: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(status, {
    ...common,
    'content-type': 'application/octet-stream',
    ...headers,
    ...(length !== null && status !== 304 && { 'content-length': length }),
  })
  try {
    const sent = await pump(response, data, length ?? Number.POSITIVE_INFINITY, signal)
    if (length === null || sent === length) response.end()
    else response.destroy()
  } catch {
    // The status has been sent: only a broken connection can still tell the client.
    response.destroy()
  }
}
