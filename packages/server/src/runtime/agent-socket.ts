import { connect, type Socket } from 'node:net'

/**
 * Every agent's bytes arrive here, whichever connection reads: reading and handling are one turn of the event loop. A
 * fresh buffer a read would make a gigabyte of output a gigabyte of garbage.
 */
const arriving = Buffer.allocUnsafeSlow(256 * 1024)

/**
 * Connects to an agent's unix socket. It is paused until somebody listens, and what a `data` event brings is only valid
 * until that event has been handled.
 */
export async function connectAgent(path: string, signal?: AbortSignal): Promise<Socket> {
  signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onread = {
    buffer: arriving,
    callback: (length: number, buffer: Uint8Array) => socket.emit('data', buffer.subarray(0, length)),
  }
  const socket: Socket = connect({ path, onread })
  socket.pause()
  const onAbort = () => reject(signal?.reason)
  socket.once('connect', resolve)
  socket.once('error', reject)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await promise
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    socket.off('error', reject)
    signal?.removeEventListener('abort', onAbort)
  }
}
