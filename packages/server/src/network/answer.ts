import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Refusal, type Unreachable } from './refusal.ts'

/** Milliseconds for the rest of a body that nobody wants, so that its sender reads the answer before the connection goes. */
const LINGER_MS = 1000

/** Answers in the place of the server that was asked for, in words that a model reads, and ends the connection. */
export async function answerInstead(
  req: IncomingMessage,
  res: ServerResponse,
  error: Refusal | Unreachable,
): Promise<void> {
  const text = `${error.message}\n`
  res.writeHead(statusOf(error), {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
    ...(error instanceof Refusal && { 'caisson-refused': printable(error.rule) }),
  })
  res.write(text)
  await ended(req)
  res.end()
}

/** Says the last thing on a connection, and lets the other end read it. */
export function endWith(socket: Duplex, text: string): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
  socket.resume().end(text)
}

/** The same as an answer, for what is no request that could be answered by Node. */
export function rawAnswer(status: string, text: string, headers: Record<string, string> = {}): string {
  const all = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text) + 1,
    connection: 'close',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${text}\n`
}

function statusOf(error: Refusal | Unreachable): number {
  if (!(error instanceof Refusal)) return 502
  return error.malformed ? 400 : 403
}

function ended(req: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    if (req.complete || req.destroyed || req.headers.expect !== undefined) return resolve()
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(done, LINGER_MS)
    req.once('end', done).once('close', done).resume()
  })
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
