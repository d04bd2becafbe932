import { connect, type Socket } from 'node:net'
import { encodeFrame, type Fields, FrameParser, parseFields } from '@caisson/protocol/frame-codec'
import type { Frame } from '@caisson/protocol/frames'
import { Message, Tag } from './protocol.ts'

/** The launcher refused or failed a request. `errno` is Linux' number; `step` says what was being done. */
export class LauncherError extends Error {
  override readonly name = 'LauncherError'
  readonly errno: number
  readonly step: string

  constructor(errno: number, step: string, text: string) {
    super(text)
    this.errno = errno
    this.step = step
  }
}

/** The connection broke; what was asked may or may not have been done. */
export class LauncherLost extends Error {
  override readonly name = 'LauncherLost'
}

interface Pending {
  items: Fields[]
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** What comes before the OK of a request that is answered by several frames. */
const ITEMS: readonly number[] = [Message.SANDBOX, Message.PLUGGED, Message.ENTRY]

/** `items` are the frames before the OK: the sandboxes of a list, the interfaces of a traffic report. */
export interface Answer {
  ok: Fields
  items: Fields[]
}

/** One connection: numbers requests, matches answers, hands out events. Dead once `closed` has resolved. */
export class LauncherConnection {
  readonly hello: Fields
  readonly closed: Promise<void>
  #socket: Socket
  #pending = new Map<number, Pending>()
  #nextStream = 1
  #onEvent: (type: number, fields: Fields) => void

  private constructor(
    socket: Socket,
    hello: Fields,
    parser: FrameParser,
    rest: Frame[],
    onEvent: (type: number, fields: Fields) => void,
  ) {
    this.#socket = socket
    this.hello = hello
    this.#onEvent = onEvent
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    socket.on('data', (chunk) => this.#take(() => parser.push(chunk)))
    socket.on('close', () => {
      this.#fail(new LauncherLost('The connection to the launcher broke'))
      resolve()
    })
    this.#take(() => rest)
  }

  /** Connects and waits for the greeting. Rejects with the socket's error, ENOENT or ECONNREFUSED when none runs. */
  static async open(
    path: string,
    onEvent: (type: number, fields: Fields) => void,
    signal?: AbortSignal,
  ): Promise<LauncherConnection> {
    signal?.throwIfAborted()
    const socket = connect(path)
    const parser = new FrameParser()
    const { promise, resolve, reject } = Promise.withResolvers<Frame[]>()
    const onData = (chunk: Uint8Array) => {
      try {
        const frames = parser.push(chunk)
        if (frames.length > 0) resolve(frames)
      } catch (error) {
        reject(error)
      }
    }
    const onAbort = () => socket.destroy(signal!.reason)
    socket.on('error', reject)
    socket.on('close', () => reject(new LauncherLost('The launcher closed the connection')))
    socket.on('data', onData)
    signal?.addEventListener('abort', onAbort)
    try {
      const [hello, ...rest] = await promise
      socket.off('data', onData)
      if (hello!.type !== Message.HELLO) throw new LauncherLost('What answers is not the launcher')
      return new LauncherConnection(socket, parseFields(hello!.payload), parser, rest, onEvent)
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Sends a request. Aborting stops the waiting only: the launcher finishes what it has begun. */
  request(type: number, payload?: Uint8Array, signal?: AbortSignal): Promise<Answer> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#socket.destroyed)
      return Promise.reject(new LauncherLost('The connection to the launcher broke'))
    const stream = this.#nextStream
    this.#nextStream = stream === 0xffff_ffff ? 1 : stream + 1
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#pending.set(stream, { items: [], resolve, reject })
    this.#socket.write(encodeFrame(type as Parameters<typeof encodeFrame>[0], stream, payload))
    if (!signal) return promise
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    return promise.finally(() => signal.removeEventListener('abort', onAbort))
  }

  close(): void {
    this.#socket.destroy()
  }

  /** The server may end while this connection is open. */
  unref(): void {
    this.#socket.unref()
  }

  #take(parse: () => Frame[]): void {
    try {
      for (const frame of parse()) this.#dispatch(frame)
    } catch (error) {
      this.#socket.destroy(error as Error)
    }
  }

  #dispatch(frame: Frame): void {
    const fields = parseFields(frame.payload)
    if (frame.stream === 0) {
      this.#onEvent(frame.type, fields)
      return
    }
    const pending = this.#pending.get(frame.stream)
    if (!pending) return
    if (ITEMS.includes(frame.type)) {
      pending.items.push(fields)
      return
    }
    this.#pending.delete(frame.stream)
    if (frame.type === Message.OK) pending.resolve({ ok: fields, items: pending.items })
    else pending.reject(toError(fields))
  }

  #fail(error: Error): void {
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }
}

function toError(fields: Fields): LauncherError {
  return new LauncherError(
    fields.u64(Tag.ERRNO) ?? 0,
    fields.string(Tag.STEP) ?? 'request',
    fields.string(Tag.TEXT) ?? 'no reason given',
  )
}
