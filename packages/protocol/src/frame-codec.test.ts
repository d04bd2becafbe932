import { describe, expect, test } from 'vitest'
import {
  encodeAck,
  encodeBulkHead,
  encodeFrame,
  FrameError,
  FrameParser,
  fields,
  parseBulk,
  parseFields,
} from './frame-codec.ts'
import { Field, type Frame, FrameType, LIMITS } from './frames.ts'

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255)

function parseInPieces(data: Uint8Array, size: number): Frame[] {
  const parser = new FrameParser()
  const frames: Frame[] = []
  for (let at = 0; at < data.length; at += size) frames.push(...parser.push(data.slice(at, at + size)))
  expect(parser.pending).toBe(0)
  return frames
}

describe('frames', () => {
  const sent = [
    { type: FrameType.START, flags: 0, stream: 1, payload: bytes(0) },
    { type: FrameType.OUTPUT, flags: 1, stream: 0xffffffff, payload: bytes(1) },
    { type: FrameType.DATA, flags: 0, stream: 7, payload: bytes(1000) },
    { type: FrameType.END, flags: 0, stream: 7, payload: bytes(0) },
  ]
  const wire = Buffer.concat(sent.map((f) => encodeFrame(f.type, f.stream, f.payload, f.flags)))

  for (const size of [1, 2, 3, 5, 11, 12, 13, 24, 25, 100, 1013, 5000])
    test(`survive being cut every ${size} bytes`, () => {
      const got = parseInPieces(wire, size)
      expect(got.map((f) => ({ ...f, payload: [...f.payload] }))).toEqual(
        sent.map((f) => ({ ...f, payload: [...f.payload] })),
      )
    })

  test('inside one chunk are views of it, not copies', () => {
    const chunk = encodeFrame(FrameType.DATA, 1, bytes(100))
    const [frame] = new FrameParser().push(chunk)
    expect(frame!.payload.buffer).toBe(chunk.buffer)
  })

  test('of the largest payload pass, one byte more is refused on both ends', () => {
    const largest = bytes(LIMITS.MAX_PAYLOAD)
    expect(new FrameParser().push(encodeFrame(FrameType.START, 1, largest))[0]!.payload).toEqual(largest)
    expect(() => encodeFrame(FrameType.START, 1, bytes(LIMITS.MAX_PAYLOAD + 1))).toThrow(RangeError)
    const header = encodeFrame(FrameType.START, 1)
    new DataView(header.buffer).setUint32(0, LIMITS.MAX_PAYLOAD + 1, true)
    expect(() => new FrameParser().push(header)).toThrow(FrameError)
    expect(() => parseInPieces(header, 1)).toThrow(FrameError)
  })

  test('with reserved header bytes set are refused', () => {
    const header = encodeFrame(FrameType.START, 1)
    header[11] = 1
    expect(() => new FrameParser().push(header)).toThrow(FrameError)
  })
})

describe('bulk payloads', () => {
  test('carry an offset and their bytes', () => {
    const body = bytes(50)
    const [frame] = new FrameParser().push(
      Buffer.concat([encodeBulkHead(FrameType.STDIN, 3, 2 ** 40, body.length), body]),
    )
    const { offset, bytes: got } = parseBulk(frame!.payload)
    expect([offset, [...got]]).toEqual([2 ** 40, [...body]])
  })

  test('of an ack are only an offset', () => {
    const [frame] = new FrameParser().push(encodeAck(3, 77))
    expect(parseBulk(frame!.payload)).toEqual({ offset: 77, bytes: new Uint8Array(0) })
  })

  test('outside the limits are refused', () => {
    expect(() => parseBulk(bytes(7))).toThrow(FrameError)
    expect(() => parseBulk(new Uint8Array(LIMITS.MAX_CHUNK + 9))).toThrow(FrameError)
    expect(() => parseBulk(new Uint8Array(8).fill(255))).toThrow(FrameError)
    expect(() => encodeBulkHead(FrameType.DATA, 1, 0, LIMITS.MAX_CHUNK + 1)).toThrow(RangeError)
  })
})

describe('fields', () => {
  test('come back as they were built, lists in order, unknown tags skipped', () => {
    const payload = Buffer.concat([
      fields().string(Field.ID, 'e1').strings(Field.ARG, ['a', '', 'ü']).encode(),
      Uint8Array.of(250, 1, 0, 0, 0, 9),
      fields().u64(Field.SIZE, 123).u64(Field.MTIME_NS, 1_800_000_000_000_000_001n).encode(),
    ])
    const got = parseFields(payload)
    expect(got.string(Field.ID)).toBe('e1')
    expect(got.strings(Field.ARG)).toEqual(['a', '', 'ü'])
    expect(got.u64(Field.SIZE)).toBe(123)
    expect(got.i64(Field.MTIME_NS)).toBe(1_800_000_000_000_000_001n)
    expect(got.string(Field.CWD)).toBeUndefined()
    expect(got.strings(Field.ENV)).toEqual([])
  })

  test('that reach past the payload, or numbers of another size, are refused', () => {
    expect(() => parseFields(Uint8Array.of(1, 0, 0))).toThrow(FrameError)
    expect(() => parseFields(Uint8Array.of(1, 9, 0, 0, 0, 1))).toThrow(FrameError)
    expect(() => parseFields(Uint8Array.of(1, 255, 255, 255, 255))).toThrow(FrameError)
    expect(() => parseFields(fields().string(Field.PID, 'abc').encode()).u64(Field.PID)).toThrow(FrameError)
    expect(() =>
      parseFields(
        fields()
          .u64(Field.PID, 2n ** 60n)
          .encode(),
      ).u64(Field.PID),
    ).toThrow(FrameError)
  })
})
