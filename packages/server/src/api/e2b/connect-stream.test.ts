import { expect, test } from 'vitest'
import { envelopes, Malformed } from './connect-stream.ts'

const envelope = (text: string, flags = 0): Buffer => {
  const head = Buffer.from([flags, 0, 0, 0, 0])
  head.writeUInt32BE(Buffer.byteLength(text), 1)
  return Buffer.concat([head, Buffer.from(text)])
}

async function read(bytes: Buffer, size: number, limit = 100): Promise<string[]> {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const found: string[] = []
  for await (const message of envelopes(pieces(), limit)) found.push(message.toString())
  return found
}

test('messages are found wherever the pieces are cut', async () => {
  const bytes = Buffer.concat(['{"a":1}', '', 'é€😀', 'x'.repeat(100)].map((text) => envelope(text)))
  for (let size = 1; size <= bytes.length; size++)
    expect(await read(bytes, size)).toEqual(['{"a":1}', '', 'é€😀', 'x'.repeat(100)])
  expect(await read(Buffer.alloc(0), 1)).toEqual([])
})

test('what breaks the protocol is refused, and what is too large before it is there', async () => {
  for (const bytes of [
    envelope('x', 1),
    envelope('x', 2),
    envelope('x', 128),
    envelope('x'.repeat(101)),
    Buffer.from([0, 255, 255, 255, 255]),
    envelope('abc').subarray(0, 7),
    Buffer.from([0, 0]),
  ])
    for (const size of [1, 1000]) await expect(read(bytes, size)).rejects.toThrow(Malformed)
})
