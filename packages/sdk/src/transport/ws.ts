import { SandboxError } from '@caisson/protocol/errors'
import { StreamKind, WEBSOCKET_PROTOCOL } from '@caisson/protocol/stream'
import WebSocket from 'ws'
import { Queue } from '../queue.ts'
import type { Channel } from './transport.ts'

/** Bytes held for a slow reader before the connection is paused. */
const HIGH_WATER = 1_048_576

export interface ChannelTarget {
  base: URL
  prefix: string
  socketPath: string | undefined
  path: string
  apiKey: string | undefined
}

/** A WebSocket over TCP, TLS or a unix socket, with back-pressure in both directions. */
export async function openChannel(
  target: ChannelTarget,
  translate: (error: unknown) => unknown,
): Promise<Channel> {
  const socket = new WebSocket(addressOf(target), WEBSOCKET_PROTOCOL, {
    headers: target.apiKey === undefined ? {} : { authorization: `Bearer ${target.apiKey}` },
    followRedirects: false,
    perMessageDeflate: false,
    handshakeTimeout: 30_000,
  })
  const queue = new Queue<Uint8Array>((bytes) => {
    if (bytes > HIGH_WATER) socket.pause()
    else if (socket.isPaused) socket.resume()
  })
  socket.on('message', (data) => queue.push(data as Buffer))
  // The server's pings say that a quiet terminal lives, as the stream's own do over HTTP.
  socket.on('ping', () => queue.push(Uint8Array.of(StreamKind.PING)))
  socket.on('close', () => queue.end())
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.on('error', (error) => {
      queue.fail(translate(error))
      reject(refusal(error) ?? translate(error))
    })
  })
  return {
    [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator](),
    send: (data) =>
      new Promise((resolve, reject) => {
        socket.send(data, (error) => (error ? reject(translate(error)) : resolve()))
      }),
    close: () => {
      queue.end()
      socket.resume()
      socket.close()
    },
  }
}

function addressOf({ base, prefix, socketPath, path }: ChannelTarget): string {
  if (socketPath !== undefined) return `ws+unix://${socketPath}:${path}`
  return `${base.protocol === 'https:' ? 'wss:' : 'ws:'}//${base.host}${prefix}${path}`
}

/** A server that answers the handshake with a status refuses it; the socket library says so only in words. */
function refusal(error: Error): SandboxError | undefined {
  const status = /Unexpected server response: (\d+)/.exec(error.message)?.[1]
  if (status === '401') return new SandboxError('unauthenticated', {})
  if (status === '403') return new SandboxError('forbidden', { needs: 'exec', has: [] })
  return undefined
}
