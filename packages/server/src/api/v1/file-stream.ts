import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type FileStat, toFileInfo, toHeaderJson } from './map.ts'

export interface FileAnswer {
  path: string
  offset: number
  length: number | undefined
  stat: FileStat
  data: AsyncIterable<Uint8Array>
}

/**
 * Answers with a file's bytes. Its length is announced where the file has one (those of /proc have not); a file that
 * turns out shorter breaks the connection, so that no client takes a part for the whole. Leaving early cancels.
 */
export async function sendFile(
  response: ServerResponse,
  file: FileAnswer,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const expected = expectedLength(file)
  response.writeHead(200, {
    ...headers,
    'content-type': 'application/octet-stream',
    'x-caisson-file': toHeaderJson(toFileInfo(file.path, file.stat)),
    ...(expected !== null && { 'content-length': expected }),
  })
  try {
    const sent = await pump(response, file.data, expected ?? Number.POSITIVE_INFINITY, signal)
    if (expected === null || sent === expected) response.end()
    else response.destroy()
  } catch {
    // The status has been sent: only a broken connection can still tell the client.
    response.destroy()
  }
}

async function pump(
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
    if (piece.length > 0 && !response.write(piece)) await once(response, 'drain', { signal })
    if (sent === limit) break
  }
  return sent
}

/** null: not known before the end. */
function expectedLength({ stat, offset, length }: FileAnswer): number | null {
  if (stat.size === 0) return null
  return Math.max(0, Math.min(stat.size - offset, length ?? Number.POSITIVE_INFINITY))
}
