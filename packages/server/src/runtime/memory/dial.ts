import { type Duplex, duplexPair } from 'node:stream'
import { parseBulk } from '@caisson/protocol/frame-codec'
import { type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import { Errno } from './errno.ts'
import type { Stream, Transfer } from './stream.ts'

/** What listens on the ports of a memory sandbox. */
export type Ports = Map<number, (connection: Duplex) => void>

/** A connection to a program that listens. */
export class Dialling implements Transfer {
  readonly #stream: Stream
  readonly #socket: Duplex
  #received = 0
  #sent = 0
  #acknowledged = 0
  #held: Uint8Array[] = []
  #open = 2

  constructor(ports: Ports, stream: Stream, port: number) {
    const accept = ports.get(port)
    if (accept === undefined) throw new Errno('ECONNREFUSED', `connect to port ${port}`)
    const [socket, peer] = duplexPair()
    this.#stream = stream
    this.#socket = socket
    stream.send(FrameType.OK)
    socket.on('data', (data: Uint8Array) => this.#onData(data))
    socket.on('end', () => this.#onEnd())
    socket.on('error', () => stream.fail(new Errno('ECONNRESET', `port ${port}`)))
    socket.on('close', () => {
      if (!socket.readableEnded) stream.fail(new Errno('ECONNRESET', `port ${port}`))
      peer.destroy()
    })
    peer.on('close', () => socket.destroy())
    accept(peer)
  }

  receive(frame: Frame): boolean {
    if (frame.type === FrameType.ACK) {
      this.#acknowledged = parseBulk(frame.payload).offset
      this.#flush()
    } else if (frame.type === FrameType.DATA) {
      const { offset, bytes } = parseBulk(frame.payload)
      if (offset !== this.#received) return false
      this.#received += bytes.length
      const end = this.#received
      this.#socket.write(Buffer.from(bytes), () => this.#stream.acknowledge(end))
    } else if (frame.type === FrameType.END) {
      this.#socket.end()
      this.#closeSide()
    } else return false
    return true
  }

  close(): void {
    this.#socket.destroy()
  }

  #onData(data: Uint8Array): void {
    this.#held.push(data)
    this.#flush()
  }

  #flush(): void {
    for (let data = this.#held.shift(); data !== undefined; data = this.#held.shift()) {
      const room = LIMITS.WINDOW - (this.#sent - this.#acknowledged)
      const chunk = data.subarray(0, Math.min(room, LIMITS.MAX_CHUNK))
      if (chunk.length > 0) this.#stream.data(this.#sent, chunk)
      this.#sent += chunk.length
      if (chunk.length < data.length) this.#held.unshift(data.subarray(chunk.length))
      if (chunk.length === room) break
    }
    if (this.#held.length > 0) this.#socket.pause()
    else this.#socket.resume()
  }

  #onEnd(): void {
    this.#stream.send(FrameType.END)
    this.#closeSide()
  }

  #closeSide(): void {
    if (--this.#open === 0) this.#stream.close()
  }
}
