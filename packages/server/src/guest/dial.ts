import { Duplex } from 'node:stream'
import {
  encodeAck,
  encodeFrame,
  type Fields,
  FrameError,
  fields,
  parseBulk,
} from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import type { Connection } from './connection.ts'
import { dialError, type Failure } from './errors.ts'
import { RESERVED_SLOTS, Request, type Slots } from './request.ts'
import { WindowSender } from './window.ts'

const ACK_BYTES = LIMITS.WINDOW / 2

/** Connects to a port of the sandbox; `begin` answers with the connection. */
export function dial(
  connection: Connection,
  slots: Slots,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const request = new DialRequest(connection, slots, port)
  return request.begin(FrameType.DIAL, fields().u64(Field.PORT, port).encode(), signal)
}

class DialRequest extends Request<Duplex> {
  readonly #port: number
  #socket: DialSocket | null = null
  #sender: WindowSender | null = null
  #received = 0
  #acknowledged = 0
  #stalled = false
  /** No more comes from the agent, and from the host. */
  #remoteEnded = false
  #localEnded = false

  constructor(connection: Connection, slots: Slots, port: number) {
    super(connection, slots, { path: `port ${port}`, user: 'root' })
    this.#port = port
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#sender?.send(chunk)
  }

  end(): void {
    this.connection.send(encodeFrame(FrameType.END, this.stream))
    this.#localEnded = true
    this.#finishIfOver()
  }

  /** The reader has room again. */
  readMore(): void {
    if (!this.#stalled) return
    this.#stalled = false
    this.#acknowledge()
  }

  protected override get limit(): number {
    return LIMITS.MAX_REQUESTS - RESERVED_SLOTS
  }

  protected override refused(_answer: Fields, failure: Failure): Error {
    if (this.#socket === null) return dialError(this.connection.sandbox, this.#port, failure)
    return new Error(`The connection to port ${this.#port} broke: ${failure.reason}`)
  }

  protected override take(frame: Frame): void {
    if (frame.type === FrameType.OK && this.#socket === null) this.#onConnected()
    else if (frame.type === FrameType.ACK && this.#sender !== null) this.#sender.acknowledge(frame.payload)
    else if (frame.type === FrameType.DATA && this.#socket !== null) this.#onData(this.#socket, frame.payload)
    else if (frame.type === FrameType.END && this.#socket !== null) this.#onEnd(this.#socket)
    else this.unexpected(frame)
  }

  protected override failed(error: Error): void {
    this.#sender?.fail(() => error)
    if (this.#socket === null) super.failed(error)
    else this.#socket.destroy(error)
  }

  #onConnected(): void {
    const what = `writing to port ${this.#port}`
    this.#sender = new WindowSender(this.connection, this.stream, FrameType.DATA, what)
    this.#socket = new DialSocket(this)
    this.answer(this.#socket)
  }

  #onData(socket: DialSocket, payload: Uint8Array): void {
    const { offset, bytes } = parseBulk(payload)
    if (this.#remoteEnded || offset !== this.#received || bytes.length === 0)
      throw new FrameError(`Data at offset ${offset} does not continue ${this.#received}`)
    this.#received += bytes.length
    if (this.#received - this.#acknowledged > LIMITS.WINDOW)
      throw new FrameError('Data came beyond the window')
    // Without room here nothing is acknowledged, so that at most a window waits for the reader.
    this.#stalled = !socket.push(Buffer.from(bytes))
    if (!this.#stalled && this.#received - this.#acknowledged >= ACK_BYTES) this.#acknowledge()
  }

  #acknowledge(): void {
    if (this.#remoteEnded) return
    this.#acknowledged = this.#received
    this.connection.send(encodeAck(this.stream, this.#received))
  }

  #onEnd(socket: DialSocket): void {
    if (this.#remoteEnded) throw new FrameError('The data ended twice')
    this.#remoteEnded = true
    socket.push(null)
    this.#finishIfOver()
  }

  /** Acknowledgements of what was sent last may still be under way. */
  #finishIfOver(): void {
    if (this.#remoteEnded && this.#localEnded) this.finish(true)
  }
}

/** The connection as its user sees it: it half-closes both ways, and destroying it resets. */
class DialSocket extends Duplex {
  readonly #request: DialRequest

  constructor(request: DialRequest) {
    super({ allowHalfOpen: true })
    this.#request = request
    // It may break before whoever dialled has got it, and an error that nobody listens to would end the server.
    this.on('error', () => {})
  }

  override _read(): void {
    this.#request.readMore()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#request.write(chunk).then(() => done(), done)
  }

  override _final(done: () => void): void {
    this.#request.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#request.cancel(error ?? new Error('The connection was closed'))
    done(error)
  }
}
