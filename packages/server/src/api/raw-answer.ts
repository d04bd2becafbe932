import type { Duplex } from 'node:stream'
import type { SandboxError } from '@caisson/protocol/errors'

/** Answers on a bare socket, where there is no request to reply to: a refused upgrade, or bytes that are not HTTP. */
export function answerRaw(socket: Duplex, error: SandboxError): void {
  const body = JSON.stringify(error.toJSON())
  const head = [
    `HTTP/1.1 ${error.status} Refused`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
