import { connect, type Socket } from 'node:net'

/** Milliseconds that one address has before the next is tried beside it. */
const STAGGER_MS = 250
/** A name may stand for hundreds of addresses; so many are tried. */
const MOST = 8
/** Bytes that may wait in a direction of a connection. */
export const HIGH_WATER_MARK = 64 * 1024

export interface Dialled {
  socket: Socket
  address: string
}

export type Dial = (addresses: readonly string[], port: number, signal: AbortSignal) => Promise<Dialled>

/**
 * Connects to the first of these addresses that answers, in their order, the next when one fails or takes its time.
 * @param addresses at least one
 * @throws what the last one failed with, or the signal's reason
 */
export const dial: Dial = (addresses, port, signal) => {
  const waiting = addresses.slice(0, MOST)
  const tried = new Set<Socket>()
  return new Promise<Dialled>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const settle = (winner: Socket | null) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      for (const socket of tried) if (socket !== winner) socket.destroy()
    }
    const onAbort = () => {
      settle(null)
      reject(signal.reason)
    }
    const tryNext = () => {
      clearTimeout(timer)
      const address = waiting.shift()
      if (address === undefined) return
      if (waiting.length > 0) timer = setTimeout(tryNext, STAGGER_MS)
      const socket = connect({ host: address, port, noDelay: true, allowHalfOpen: true, ...buffers })
      tried.add(socket)
      const onError = (error: Error) => {
        tried.delete(socket)
        if (waiting.length > 0) return tryNext()
        if (tried.size > 0) return
        settle(null)
        reject(error)
      }
      socket.once('error', onError)
      socket.once('connect', () => {
        socket.off('error', onError)
        settle(socket)
        resolve({ socket, address })
      })
    }
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    tryNext()
  })
}

/** Taken by the constructor of the socket, of which the types of `connect` know nothing. */
const buffers: object = { highWaterMark: HIGH_WATER_MARK }
