import { isUtf8 } from 'node:buffer'
import type { ErrorBody } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import {
  NDJSON_TYPE,
  STREAM_HEADER,
  STREAM_MAX_RECORD,
  STREAM_TYPE,
  StreamKind,
} from '@caisson/protocol/stream'
import type { OutputChunk } from '../../sandboxes/use-cases.ts'

/**
 * Turns the parts of an execution stream into bytes (see the protocol's stream.ts). Each method answers with pieces to
 * write one after the other, so that output is passed on without a copy.
 */
export interface RecordEncoder {
  readonly contentType: string
  started(execution: Execution, offset: number): Uint8Array[]
  output(chunk: OutputChunk): Uint8Array[]
  /** What was before `offset` is not kept any more. */
  gap(offset: number): Uint8Array[]
  /** Also what was held back to complete a character. */
  ping(): Uint8Array[]
  ended(execution: Execution): Uint8Array[]
  error(error: ErrorBody): Uint8Array[]
}

/** By the Accept header: records for programs, lines for people. */
export function createEncoder(accept: string | undefined): RecordEncoder {
  return accept?.includes(STREAM_TYPE) ? new BinaryEncoder() : new LineEncoder()
}

class BinaryEncoder implements RecordEncoder {
  readonly contentType = STREAM_TYPE

  started(execution: Execution, offset: number): Uint8Array[] {
    return json(StreamKind.STARTED, { execution, offset })
  }

  output({ stream, data }: OutputChunk): Uint8Array[] {
    const kind = stream === 'stdout' ? StreamKind.STDOUT : StreamKind.STDERR
    if (data.length <= STREAM_MAX_RECORD) return record(kind, data)
    const pieces: Uint8Array[] = []
    for (let at = 0; at < data.length; at += STREAM_MAX_RECORD) {
      pieces.push(...record(kind, data.subarray(at, at + STREAM_MAX_RECORD)))
    }
    return pieces
  }

  gap(offset: number): Uint8Array[] {
    return json(StreamKind.GAP, { offset })
  }

  ping(): Uint8Array[] {
    return record(StreamKind.PING, new Uint8Array())
  }

  ended(execution: Execution): Uint8Array[] {
    return json(StreamKind.ENDED, { execution })
  }

  error(error: ErrorBody): Uint8Array[] {
    return json(StreamKind.ERROR, error)
  }
}

function record(kind: StreamKind, payload: Uint8Array): Uint8Array[] {
  const header = Buffer.allocUnsafe(STREAM_HEADER)
  header[0] = kind
  header.writeUInt32LE(payload.length, 1)
  return payload.length === 0 ? [header] : [header, payload]
}

function json(kind: StreamKind, value: unknown): Uint8Array[] {
  return record(kind, Buffer.from(JSON.stringify(value)))
}

/**
 * JSON lines. A character may be split across chunks: its first bytes wait for the rest as long as the next bytes are
 * of the same stream, so that every record stays one run of bytes at its offset. What is not UTF-8 goes as base64.
 */
class LineEncoder implements RecordEncoder {
  readonly contentType = NDJSON_TYPE
  #held: Omit<OutputChunk, 'time'> | null = null

  started(execution: Execution, offset: number): Uint8Array[] {
    return line({ type: 'started', execution, offset })
  }

  output(chunk: OutputChunk): Uint8Array[] {
    const pieces: Uint8Array[] = []
    let { offset, data } = chunk
    if (this.#held !== null && this.#held.stream === chunk.stream) {
      offset = this.#held.offset
      data = Buffer.concat([this.#held.data, data])
      this.#held = null
    } else {
      pieces.push(...this.#flush())
    }
    const whole = data.length - incompleteTail(data)
    if (whole < data.length) {
      this.#held = { offset: offset + whole, stream: chunk.stream, data: Buffer.from(data.subarray(whole)) }
    }
    if (whole > 0) pieces.push(...outputLine(offset, chunk.stream, data.subarray(0, whole)))
    return pieces
  }

  gap(offset: number): Uint8Array[] {
    return [...this.#flush(), ...line({ type: 'gap', offset })]
  }

  ping(): Uint8Array[] {
    return [...this.#flush(), ...line({ type: 'ping' })]
  }

  ended(execution: Execution): Uint8Array[] {
    return [...this.#flush(), ...line({ type: 'ended', execution })]
  }

  error({ error }: ErrorBody): Uint8Array[] {
    return [...this.#flush(), ...line({ type: 'error', error })]
  }

  #flush(): Uint8Array[] {
    const held = this.#held
    if (held === null) return []
    this.#held = null
    return outputLine(held.offset, held.stream, held.data)
  }
}

function outputLine(offset: number, type: OutputChunk['stream'], data: Uint8Array): Uint8Array[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (isUtf8(bytes)) return line({ type, offset, data: bytes.toString('utf8') })
  return line({ type, offset, encoding: 'base64', data: bytes.toString('base64') })
}

function line(value: unknown): Uint8Array[] {
  return [Buffer.from(`${JSON.stringify(value)}\n`)]
}

/** How many bytes at the end begin a UTF-8 character without finishing it: 0 to 3. */
function incompleteTail(data: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= data.length; back++) {
    const byte = data[data.length - back]!
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}
