import { on } from 'node:events'
import type { IncomingMessage } from 'node:http'

/** Pieces that wait for the reader before the connection is not read any more; the parser makes them up to 64 KiB. */
const WAITING = 8

/**
 * The body of a request in the pieces in which it came: Node's own iteration joins those that wait, which copies most of
 * a fast upload. A reader that stops early leaves the connection as it is, since its refusal is still to be sent.
 * @throws what broke the connection before the end of the body
 */
export async function* piecesOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  if (request.readableEnded) return
  const close = ['end', 'close']
  const pieces = request.destroyed ? [] : on(request, 'data', { close, highWaterMark: WAITING })
  try {
    for await (const [piece] of pieces) yield piece
  } finally {
    request.pause()
  }
  if (!request.readableEnded) throw request.errored ?? new Error('the body broke off')
}
