/**
 * Bytes ↔ frames and fields of the agent protocol (`frames.ts` is its manual). Pure: no I/O, runs anywhere.
 * What is parsed comes from inside a sandbox and is hostile: every length is checked before it is used, and
 * whatever breaks the format throws a `FrameError`, after which the connection must be closed.
 */
import { type Frame, FrameType, LIMITS } from './frames.ts'

const { HEADER, MAX_PAYLOAD, MAX_CHUNK } = LIMITS
const FIELD_HEADER = 5
const OFFSET_SIZE = 8
const EMPTY = new Uint8Array(0)
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The peer broke the format; nothing after this point of its stream can be trusted. */
export class FrameError extends Error {
  override name = 'FrameError'
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function putHeader(out: Uint8Array, type: number, stream: number, length: number, flags: number) {
  if (length > MAX_PAYLOAD)
    throw new RangeError(`A payload of ${length} bytes is larger than the ${MAX_PAYLOAD} of a frame`)
  const view = viewOf(out)
  view.setUint32(0, length, true)
  view.setUint32(4, stream, true)
  out[8] = type
  out[9] = flags
}

/** One frame as bytes. Throws a RangeError when the payload is larger than `LIMITS.MAX_PAYLOAD`. */
export function encodeFrame(
  type: FrameType,
  stream: number,
  payload: Uint8Array = EMPTY,
  flags = 0,
): Uint8Array {
  const out = new Uint8Array(HEADER + payload.length)
  putHeader(out, type, stream, payload.length, flags)
  out.set(payload, HEADER)
  return out
}

/**
 * Header and offset of a bulk frame (`output`, `data`, `stdin`) of `length` bytes that begin at `offset`. The
 * bytes themselves are written behind it, uncopied. Throws a RangeError above `LIMITS.MAX_CHUNK`.
 */
export function encodeBulkHead(
  type: FrameType,
  stream: number,
  offset: number,
  length: number,
  flags = 0,
): Uint8Array {
  if (length > MAX_CHUNK) throw new RangeError(`A chunk of ${length} bytes is larger than ${MAX_CHUNK}`)
  const out = new Uint8Array(HEADER + OFFSET_SIZE)
  putHeader(out, type, stream, OFFSET_SIZE + length, flags)
  viewOf(out).setBigUint64(HEADER, BigInt(offset), true)
  return out
}

/** An `ack` frame: bytes of the stream up to `offset` are kept. */
export function encodeAck(stream: number, offset: number): Uint8Array {
  const out = new Uint8Array(HEADER + OFFSET_SIZE)
  putHeader(out, FrameType.ACK, stream, OFFSET_SIZE, 0)
  viewOf(out).setBigUint64(HEADER, BigInt(offset), true)
  return out
}

/** Offset and bytes of a bulk frame; of an `ack`, `bytes` is empty. The bytes are a view of the payload. */
export function parseBulk(payload: Uint8Array): { offset: number; bytes: Uint8Array } {
  if (payload.length < OFFSET_SIZE || payload.length > OFFSET_SIZE + MAX_CHUNK)
    throw new FrameError(`A bulk payload of ${payload.length} bytes is outside the limits`)
  return { offset: readOffset(payload, 0), bytes: payload.subarray(OFFSET_SIZE) }
}

function readOffset(bytes: Uint8Array, at: number): number {
  const value = Number(viewOf(bytes).getBigUint64(at, true))
  if (!Number.isSafeInteger(value)) throw new FrameError(`The number ${value} is outside the safe range`)
  return value
}

/**
 * Cuts a byte stream into frames. A frame that is whole inside one chunk is a view of that chunk; one that is
 * split is assembled in a buffer of its own, so memory is bounded by one frame; `release` gives those buffers back.
 */
export class FrameParser {
  #header = new Uint8Array(HEADER)
  #headerFilled = 0
  #payload: Uint8Array = EMPTY
  #filled = 0
  #lent: Uint8Array[] = []

  /** Frames completed by `chunk`, in order. Throws a FrameError on an oversized or malformed header. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = []
    this.#lent = []
    let at = 0
    while (at < chunk.length) {
      const whole = this.#headerFilled === 0 && chunk.length - at >= HEADER
      const end = whole ? at + HEADER + payloadLength(chunk, at) : Infinity
      if (end > chunk.length) at = this.#fill(chunk, at, frames)
      else {
        frames.push(makeFrame(chunk, at, chunk.subarray(at + HEADER, end)))
        at = end
      }
    }
    return frames
  }

  /** The frames of the last `push` are done with: what they were assembled in is used again. Optional, for speed. */
  release(): void {
    for (const payload of this.#lent.splice(0)) giveBack(payload)
  }

  /** Bytes of an unfinished frame that are waiting for the rest; zero between frames. */
  get pending(): number {
    return this.#headerFilled + this.#filled
  }

  #fill(chunk: Uint8Array, start: number, frames: Frame[]): number {
    let at = start
    if (this.#headerFilled < HEADER) {
      const part = chunk.subarray(at, at + HEADER - this.#headerFilled)
      this.#header.set(part, this.#headerFilled)
      this.#headerFilled += part.length
      at += part.length
      if (this.#headerFilled < HEADER) return at
      this.#payload = borrow(payloadLength(this.#header, 0))
    }
    const part = chunk.subarray(at, at + this.#payload.length - this.#filled)
    this.#payload.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled === this.#payload.length) this.#finish(frames)
    return at + part.length
  }

  #finish(frames: Frame[]) {
    frames.push(makeFrame(this.#header, 0, this.#payload))
    this.#lent.push(this.#payload)
    this.#payload = EMPTY
    this.#headerFilled = 0
    this.#filled = 0
  }
}

/** Memory for split frames of the size of a full chunk, of all parsers together; a few are under way at a time. */
const SLAB = LIMITS.MAX_CHUNK + 8
const MAX_SPARE = 16
const spare: ArrayBufferLike[] = []

function borrow(length: number): Uint8Array<ArrayBufferLike> {
  const slab = length > SLAB / 8 && length <= SLAB ? (spare.pop() ?? new ArrayBuffer(SLAB)) : null
  return slab === null ? new Uint8Array(length) : new Uint8Array(slab, 0, length)
}

function giveBack({ buffer }: Uint8Array): void {
  if (buffer.byteLength === SLAB && spare.length < MAX_SPARE) spare.push(buffer)
}

function makeFrame(header: Uint8Array, at: number, payload: Uint8Array): Frame {
  return { type: header[at + 8]!, flags: header[at + 9]!, stream: readU32(header, at + 4), payload }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

function payloadLength(header: Uint8Array, at: number): number {
  const length = readU32(header, at)
  if (length > MAX_PAYLOAD || header[at + 10] !== 0 || header[at + 11] !== 0)
    throw new FrameError(`A frame header that declares ${length} bytes is not valid`)
  return length
}

/** Collects fields for a control payload: `fields().string(Field.ID, id).u64(Field.PID, 1).encode()`. */
export class FieldBuilder {
  #parts: { tag: number; bytes: Uint8Array }[] = []
  #size = 0

  bytes(tag: number, bytes: Uint8Array): this {
    this.#parts.push({ tag, bytes })
    this.#size += FIELD_HEADER + bytes.length
    return this
  }

  string(tag: number, text: string): this {
    return this.bytes(tag, encoder.encode(text))
  }

  /** One field per text, in order. */
  strings(tag: number, texts: Iterable<string>): this {
    for (const text of texts) this.string(tag, text)
    return this
  }

  u64(tag: number, value: number | bigint): this {
    const bytes = new Uint8Array(8)
    viewOf(bytes).setBigUint64(0, BigInt(value), true)
    return this.bytes(tag, bytes)
  }

  /** The payload. May exceed `LIMITS.MAX_PAYLOAD`, which `encodeFrame` refuses. */
  encode(): Uint8Array {
    const out = new Uint8Array(this.#size)
    const view = viewOf(out)
    let at = 0
    for (const { tag, bytes } of this.#parts) {
      out[at] = tag
      view.setUint32(at + 1, bytes.length, true)
      out.set(bytes, at + FIELD_HEADER)
      at += FIELD_HEADER + bytes.length
    }
    return out
  }
}

export const fields = (): FieldBuilder => new FieldBuilder()

/** Typed access to the fields of a payload. A tag that repeats answers with its last value, except `strings`. */
export class Fields {
  #values = new Map<number, Uint8Array[]>()

  constructor(payload: Uint8Array) {
    for (let at = 0; at < payload.length; ) {
      const start = at + FIELD_HEADER
      const end = start <= payload.length ? start + readU32(payload, at + 1) : Infinity
      if (end > payload.length) throw new FrameError('A field reaches past the end of its payload')
      const values = this.#values.get(payload[at]!)
      const value = payload.subarray(start, end)
      if (values) values.push(value)
      else this.#values.set(payload[at]!, [value])
      at = end
    }
  }

  /** A view of the payload. */
  bytes(tag: number): Uint8Array | undefined {
    return this.#values.get(tag)?.at(-1)
  }

  /** Text; bytes that are not UTF-8 become U+FFFD. */
  string(tag: number): string | undefined {
    const bytes = this.bytes(tag)
    return bytes && decoder.decode(bytes)
  }

  /** Of each that repeats, a view of the payload. */
  all(tag: number): Uint8Array[] {
    return this.#values.get(tag) ?? []
  }

  strings(tag: number): string[] {
    return (this.#values.get(tag) ?? []).map((bytes) => decoder.decode(bytes))
  }

  /** A number; throws a FrameError when it is not eight bytes long or outside the safe integers. */
  u64(tag: number): number | undefined {
    const bytes = this.bytes(tag)
    return bytes && readOffset(eight(bytes), 0)
  }

  /** A signed number of any size, for nanoseconds. */
  i64(tag: number): bigint | undefined {
    const bytes = this.bytes(tag)
    return bytes && viewOf(eight(bytes)).getBigInt64(0, true)
  }
}

function eight(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 8) throw new FrameError(`A number of ${bytes.length} bytes is not valid`)
  return bytes
}

/** Parses a control payload. Throws a FrameError when it is malformed. */
export const parseFields = (payload: Uint8Array): Fields => new Fields(payload)
