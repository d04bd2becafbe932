import { randomBytes } from 'node:crypto'
import { createZstdCompress, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { through } from '../files/archives/streams.ts'
import { unzstd } from './unzstd.ts'

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

describe('zstd', () => {
  const first = randomBytes(300_000)
  const second = Buffer.alloc(5_000_000, 'text')

  test.each([1, 1000, 65_536, 10_000_000])('frames follow each other, %i bytes at a time', async (size) => {
    const frames = [first, Buffer.alloc(0), second, Buffer.from('z')].map((each) =>
      size === 1 ? each.subarray(0, 900) : each,
    )
    const file = Buffer.concat(frames.map((frame) => zstdCompressSync(frame)))
    expect((await all(unzstd(cut(file, size)))).equals(Buffer.concat(frames))).toBe(true)
  })

  test('what is compressed as a stream comes back', async () => {
    const file = await all(through(cut(second, 10_000), createZstdCompress()))
    expect((await all(unzstd(cut(file, 777)))).equals(second)).toBe(true)
  })

  const file = zstdCompressSync(first)
  const bad: Record<string, Buffer> = {
    'no zstd': first,
    'more behind its end': Buffer.concat([file, Buffer.from('behind')]),
    'a changed byte in its head': Buffer.concat([Buffer.from([0x29]), file.subarray(1)]),
  }
  for (const [what, bytes] of Object.entries(bad))
    for (const size of [100, 1_000_000])
      test(`${what} fails, ${size} bytes at a time`, async () => {
        await expect(all(unzstd(cut(bytes, size)))).rejects.toMatchObject({
          code: expect.stringMatching(/^ZSTD_/),
        })
      })

  test.each([0, 5, 1000])('a file that is cut after %i bytes fails', async (size) => {
    await expect(all(unzstd(cut(file.subarray(0, size), 100)))).rejects.toThrow('unexpected end of file')
  })

  test('a source that fails, and a reader that leaves, end it', async () => {
    async function* failing() {
      yield file.subarray(0, 1000)
      throw new Error('gone')
    }
    await expect(all(unzstd(failing()))).rejects.toThrow('gone')
    let ended = false
    async function* endless() {
      try {
        for (;;) yield file
      } finally {
        ended = true
      }
    }
    for await (const _ of unzstd(endless())) break
    expect(ended).toBe(true)
  })
})
