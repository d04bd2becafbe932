import { type Duplex, duplexPair } from 'node:stream'
import {
  encodeBulkHead,
  encodeFrame,
  type FieldBuilder,
  FrameParser,
  fields,
} from '@caisson/protocol/frame-codec'
import { Field, type Frame, type FrameType, FrameType as Type } from '@caisson/protocol/frames'
import { connectGuest } from './connect.ts'
import type { Guest, GuestExecution, OutputSink } from './guest.ts'

export const NONCE = Uint8Array.from({ length: 16 }, (_, index) => index)
export const SILENT: OutputSink = { write: () => {} }

/** The agent's end of a connection, saying what a test tells it to say. */
export class ScriptedAgent {
  readonly host: Duplex
  readonly #channel: Duplex
  readonly #frames: Frame[] = []
  #arrived = Promise.withResolvers<void>()
  /** Pieces in which the host's bytes have arrived. */
  chunks = 0

  constructor() {
    const [host, channel] = duplexPair()
    this.host = host
    this.#channel = channel
    const parser = new FrameParser()
    channel.on('data', (chunk) => {
      this.chunks++
      this.#frames.push(...parser.push(chunk))
      this.#arrived.resolve()
      this.#arrived = Promise.withResolvers()
    })
  }

  send(type: FrameType, stream: number, payload: FieldBuilder | Uint8Array = fields(), flags = 0): void {
    const bytes = payload instanceof Uint8Array ? payload : payload.encode()
    this.#channel.write(encodeFrame(type, stream, bytes, flags))
  }

  bulk(type: FrameType, stream: number, offset: number, data: string | Uint8Array, flags = 0): void {
    const bytes = Buffer.from(data)
    this.#channel.write(encodeBulkHead(type, stream, offset, bytes.length, flags))
    this.#channel.write(bytes)
  }

  raw(bytes: Uint8Array): void {
    this.#channel.write(bytes)
  }

  hello(payload = fields().u64(Field.GENERATION, 1).bytes(Field.NONCE, NONCE)): void {
    this.send(Type.HELLO, 0, payload)
  }

  error(stream: number, errno: number, message: string): void {
    this.send(Type.ERROR, stream, fields().u64(Field.ERRNO, errno).string(Field.MESSAGE, message))
  }

  /** The next frame of a type from the host; frames of other types before it are dropped. */
  async next(type: FrameType): Promise<Frame> {
    for (;;) {
      for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift())
        if (frame.type === type) return frame
      await this.#arrived.promise
    }
  }

  /** The next frame from the host. */
  async nextOfAny(): Promise<Frame> {
    while (this.#frames.length === 0) await this.#arrived.promise
    return this.#frames.shift() as Frame
  }

  /** All frames that have arrived and were not taken. */
  take(): Frame[] {
    return this.#frames.splice(0)
  }

  /** Frames of a type that have arrived and were not taken. */
  count(type: FrameType): number {
    return this.#frames.filter((frame) => frame.type === type).length
  }
}

export async function greeted(): Promise<{ agent: ScriptedAgent; guest: Guest }> {
  const agent = new ScriptedAgent()
  const connecting = connectGuest(agent.host, { sandbox: 'sbx_1' })
  agent.hello()
  return { agent, guest: await connecting }
}

export interface Started {
  agent: ScriptedAgent
  guest: Guest
  execution: GuestExecution
  stream: number
}

/** A connection with one execution under way. */
export async function started(sink: OutputSink = SILENT): Promise<Started> {
  const { agent, guest } = await greeted()
  const starting = guest.start({ id: 'exe_1', argv: ['true'], env: { A: 'b' }, stdin: true }, sink)
  const { stream } = await agent.next(Type.START)
  agent.send(Type.STARTED, stream, fields().u64(Field.PID, 7).u64(Field.OFFSET, 0))
  return { agent, guest, execution: await starting, stream }
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

/** Lets everything that is under way in both directions arrive. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
}
