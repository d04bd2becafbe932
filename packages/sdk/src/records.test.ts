import { StreamKind } from '@caisson/protocol/stream'
import { describe, expect, test } from 'vitest'
import { parseSocketMessage, RecordReader, type StreamRecord } from './records.ts'

const record = (kind: number, payload: string | Uint8Array): Uint8Array => {
  const bytes = Buffer.from(payload)
  const header = Buffer.alloc(5)
  header[0] = kind
  header.writeUInt32LE(bytes.length, 1)
  return Buffer.concat([header, bytes])
}

const text = (records: StreamRecord[], stream: string): string =>
  records
    .map((r) => (r.type === 'output' && r.stream === stream ? Buffer.from(r.data).toString() : ''))
    .join('')

describe('the binary execution stream', () => {
  const whole = Buffer.concat([
    record(StreamKind.STARTED, JSON.stringify({ execution: { id: 'exe_1' }, offset: 7 })),
    record(StreamKind.STDOUT, 'hello '),
    record(StreamKind.PING, ''),
    record(StreamKind.STDERR, 'warning'),
    record(StreamKind.STDOUT, ''),
    record(99, 'of a later protocol'),
    record(StreamKind.GAP, JSON.stringify({ offset: 60 })),
    record(StreamKind.STDOUT, 'world'),
    record(StreamKind.ENDED, JSON.stringify({ execution: { id: 'exe_1', exitCode: 0 } })),
  ])

  test.each([1, 2, 3, 5, 7, 64, whole.length])('reads the same in pieces of %i bytes', (size) => {
    const reader = new RecordReader()
    const records: StreamRecord[] = []
    for (let at = 0; at < whole.length; at += size)
      records.push(...reader.push(whole.subarray(at, at + size)))
    expect(records[0]).toEqual({ type: 'started', execution: { id: 'exe_1' }, offset: 7 })
    expect(records.at(-1)).toEqual({ type: 'ended', execution: { id: 'exe_1', exitCode: 0 } })
    expect(records.filter(({ type }) => type === 'gap')).toEqual([{ type: 'gap', offset: 60 }])
    expect(text(records, 'stdout')).toBe('hello world')
    expect(text(records, 'stderr')).toBe('warning')
  })

  test('passes output on without a copy', () => {
    const chunk = record(StreamKind.STDOUT, 'abc')
    const [output] = new RecordReader().push(chunk)
    expect(output?.type === 'output' && output.data.buffer).toBe(chunk.buffer)
  })

  test('refuses a record beyond the limit and one that is not JSON', () => {
    const huge = Buffer.from([StreamKind.STDOUT, 0xff, 0xff, 0xff, 0x7f])
    expect(() => new RecordReader().push(huge)).toThrow(/2147483647 bytes/)
    expect(() => new RecordReader().push(record(StreamKind.ENDED, '{'))).toThrow(/not JSON/)
  })

  test('keeps an error code that it does not know', () => {
    const body = { error: { code: 'of_tomorrow', message: 'New.', retry: true, details: { a: 1 } } }
    const [first] = new RecordReader().push(record(StreamKind.ERROR, JSON.stringify(body)))
    expect(first).toMatchObject({ type: 'error', error: { code: 'of_tomorrow', retry: true, status: 500 } })
  })
})

test('a socket message is a kind and its payload', () => {
  expect(parseSocketMessage(Buffer.from('\x01hi'))).toMatchObject({ type: 'output', stream: 'stdout' })
  expect(parseSocketMessage(Buffer.from([StreamKind.PING]))).toBeUndefined()
  expect(parseSocketMessage(new Uint8Array())).toBeUndefined()
})
