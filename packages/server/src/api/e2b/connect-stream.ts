import type { ServerResponse } from 'node:http'
import { orAborted } from '../../abort.ts'
import { drained } from '../../drained.ts'
import type { ConnectError } from './connect-error.ts'
import { endWhenRead } from './errors.ts'

/** Bytes that wait for a slow reader before the source has to. */
const HIGH = 256 * 1024
const CONTENT_TYPE = 'application/connect+json'
/** Flags of an envelope. */
const MESSAGE = 0
const COMPRESSED = 1
const END = 2
const HEAD_BYTES = 5

/** The answers of a server stream. */
export interface ConnectStream {
  /** Waits while the client reads slowly. @throws the reason of `signal` */
  send(message: object): Promise<void>
  /** The client has gone, or its deadline is over. */
  readonly signal: AbortSignal
}

/** Writes enveloped messages; the head goes out with the first. */
export class EnvelopeWriter implements ConnectStream {
  readonly signal: AbortSignal
  readonly #response: ServerResponse
  readonly #keepalive: NodeJS.Timeout
  #corked = false

  /** @param silence milliseconds after which `keepalive` is sent */
  constructor(response: ServerResponse, signal: AbortSignal, keepalive: object, silence: number) {
    this.signal = signal
    this.#response = response
    this.#keepalive = setInterval(() => {
      // Before the first message there is nothing to keep alive, and while the client does not read it needs no news.
      if (response.headersSent && response.writableLength === 0) this.#write(MESSAGE, keepalive)
    }, silence).unref()
    response.once('close', () => clearInterval(this.#keepalive))
  }

  async send(message: object): Promise<void> {
    this.signal.throwIfAborted()
    this.#write(MESSAGE, message)
    this.#keepalive.refresh()
    if (this.#response.writableLength >= HIGH) await orAborted(drained(this.#response), this.signal)
  }

  end(error: ConnectError | null): void {
    clearInterval(this.#keepalive)
    if (this.#response.destroyed) return
    this.#write(END, error === null ? {} : { error })
    endWhenRead(this.#response)
  }

  #write(flags: number, message: object): void {
    const response = this.#response
    if (response.destroyed) return
    if (!response.headersSent)
      response.writeHead(200, { 'content-type': CONTENT_TYPE, 'x-accel-buffering': 'no' })
    this.#cork()
    response.write(envelope(flags, message))
  }

  /** What is written in one turn of the event loop leaves in one packet. */
  #cork(): void {
    const { socket } = this.#response
    if (this.#corked || socket === null) return
    this.#corked = true
    socket.cork()
    setImmediate(() => {
      this.#corked = false
      socket.uncork()
    })
  }
}

function envelope(flags: number, message: object): Buffer {
  const json = JSON.stringify(message)
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(json))
  bytes[0] = flags
  bytes.writeUInt32BE(bytes.length - HEAD_BYTES, 1)
  bytes.write(json, HEAD_BYTES)
  return bytes
}

/** What breaks the rules of the protocol. */
export class Malformed extends Error {}

/**
 * The messages of a body, as they come.
 * @param limit bytes of one message
 * @throws Malformed
 */
export async function* envelopes(body: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    waiting.push(piece)
    bytes += piece.length
    for (;;) {
      const size = bytes < HEAD_BYTES ? null : sizeOf(waiting, limit)
      if (size === null || bytes < HEAD_BYTES + size) break
      const all = Buffer.concat(waiting)
      yield all.subarray(HEAD_BYTES, HEAD_BYTES + size)
      waiting = [all.subarray(HEAD_BYTES + size)]
      bytes -= HEAD_BYTES + size
    }
  }
  if (bytes > 0) throw new Malformed('the last message is cut off')
}

/** Of the message whose head is at the beginning. */
function sizeOf(waiting: Uint8Array[], limit: number): number {
  let first = waiting[0] as Uint8Array
  if (first.length < HEAD_BYTES) {
    first = Buffer.concat(waiting)
    waiting.splice(0, waiting.length, first)
  }
  const head = Buffer.from(first.buffer, first.byteOffset, HEAD_BYTES)
  if ((head[0] as number) & COMPRESSED) throw new Malformed('messages must not be compressed')
  if (head[0] !== MESSAGE) throw new Malformed(`a message has the unknown flags ${head[0]}`)
  const size = head.readUInt32BE(1)
  if (size > limit) throw new Malformed(`a message is larger than ${limit} bytes`)
  return size
}
