import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import { STREAM_HEADER, STREAM_MAX_RECORD, StreamKind } from '@caisson/protocol/stream'
import { concat } from './transport/transport.ts'
import { errorFromWire } from './wire-error.ts'

export type StreamRecord =
  | { type: 'output'; stream: 'stdout' | 'stderr'; data: Uint8Array }
  | { type: 'started'; execution: Execution; offset: number }
  /** What was before `offset` is not kept any more. */
  | { type: 'gap'; offset: number }
  | { type: 'ended'; execution: Execution }
  | { type: 'error'; error: SandboxError }

/**
 * Reads the binary execution stream as it comes. Output is passed on in the pieces in which it arrives, without a
 * copy, so a record may be given in several parts; the JSON records are gathered first.
 */
export class RecordReader {
  #header = new Uint8Array(STREAM_HEADER)
  #headerBytes = 0
  #kind = 0
  /** Payload bytes of the current record that are still to come. */
  #left = 0
  #parts: Uint8Array[] = []

  push(chunk: Uint8Array): StreamRecord[] {
    const records: StreamRecord[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#headerBytes < STREAM_HEADER) at = this.#readHeader(chunk, at)
      if (this.#headerBytes < STREAM_HEADER) break
      const part = chunk.subarray(at, at + this.#left)
      at += part.length
      this.#left -= part.length
      this.#take(part, records)
      if (this.#left === 0) this.#headerBytes = 0
    }
    return records
  }

  #readHeader(chunk: Uint8Array, from: number): number {
    let at = from
    while (at < chunk.length && this.#headerBytes < STREAM_HEADER)
      this.#header[this.#headerBytes++] = chunk[at++]!
    if (this.#headerBytes === STREAM_HEADER) {
      const [kind, a, b, c, d] = this.#header as unknown as [number, number, number, number, number]
      this.#kind = kind
      this.#left = a + b * 0x100 + c * 0x10000 + d * 0x1000000
      if (this.#left > STREAM_MAX_RECORD) throw malformed(`a record of ${this.#left} bytes`)
    }
    return at
  }

  #take(part: Uint8Array, records: StreamRecord[]): void {
    const stream = streamOf(this.#kind)
    if (stream) {
      if (part.length > 0) records.push({ type: 'output', stream, data: part })
      return
    }
    this.#parts.push(part)
    if (this.#left > 0) return
    const record = parseMessage(this.#kind, concat(this.#parts))
    this.#parts = []
    if (record) records.push(record)
  }
}

/** One WebSocket message: a kind and its payload. */
export function parseSocketMessage(message: Uint8Array): StreamRecord | undefined {
  const kind = message[0] ?? StreamKind.PING
  const stream = streamOf(kind)
  const payload = message.subarray(1)
  return stream ? { type: 'output', stream, data: payload } : parseMessage(kind, payload)
}

const streamOf = (kind: number): 'stdout' | 'stderr' | undefined =>
  kind === StreamKind.STDOUT ? 'stdout' : kind === StreamKind.STDERR ? 'stderr' : undefined

/** Kinds that are new to this client are passed over: the protocol only grows. */
const MESSAGES = new Set<number>([StreamKind.STARTED, StreamKind.GAP, StreamKind.ENDED, StreamKind.ERROR])

function parseMessage(kind: number, payload: Uint8Array): StreamRecord | undefined {
  if (!MESSAGES.has(kind)) return undefined
  let value: { execution: Execution; offset: number }
  try {
    value = JSON.parse(new TextDecoder().decode(payload))
  } catch {
    throw malformed('a record that is not JSON')
  }
  if (kind === StreamKind.ERROR) return { type: 'error', error: errorFromWire(value) }
  if (kind === StreamKind.GAP) return { type: 'gap', offset: value.offset }
  if (kind === StreamKind.ENDED) return { type: 'ended', execution: value.execution }
  return { type: 'started', execution: value.execution, offset: value.offset }
}

const malformed = (what: string) =>
  new SandboxError('connection_lost', { what: `reading the output: the stream holds ${what}` })
