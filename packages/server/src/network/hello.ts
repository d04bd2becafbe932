import type { Socket } from 'node:net'
import { Refusal } from './refusal.ts'
import { readServerName } from './sni.ts'

export interface Hello {
  name: string
  /** All that was read to learn it. */
  bytes: Buffer
}

/**
 * Reads from a TLS client until it has named its host, and pauses it there.
 * @returns null when it went before
 * @throws Refusal
 */
export function collectHello(socket: Socket, milliseconds: number): Promise<Hello | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let have = 0
    let need = 1
    const settle = (answer: () => void) => {
      clearTimeout(timer)
      socket.pause()
      socket.off('data', onData).off('end', onEnd).off('close', onEnd)
      answer()
    }
    const onData = (chunk: Buffer) => {
      chunks.push(chunk)
      have += chunk.length
      if (have < need) return
      const bytes = Buffer.concat(chunks, have)
      chunks.splice(0, chunks.length, bytes)
      try {
        const found = readServerName(bytes)
        if ('name' in found) settle(() => resolve({ name: found.name, bytes }))
        else need = found.need
      } catch (error) {
        settle(() => reject(error))
      }
    }
    const onEnd = () => settle(() => resolve(null))
    // Timers of one length share one list: a thousand of them cost no more than one.
    const timer = setTimeout(() => settle(() => reject(late(milliseconds))), milliseconds)
    socket.on('data', onData).on('end', onEnd).on('close', onEnd)
  })
}

function late(milliseconds: number): Refusal {
  return new Refusal('not TLS', `No ClientHello came within ${milliseconds / 1000} s.`, { malformed: true })
}
