import type { Transform } from 'node:stream'
import { drained } from '../../../drained.ts'

/** What streams of every make have in common where they are written. */
export interface Sink {
  readonly destroyed: boolean
  write(piece: Uint8Array): boolean
  end(): unknown
  destroy(error?: Error): unknown
  on(event: 'drain' | 'close', listener: () => void): unknown
  off(event: 'drain' | 'close', listener: () => void): unknown
}

/**
 * Writes everything to a stream that is read elsewhere, at the reader's pace. A failure of the source becomes the
 * stream's. Never rejects; a stream that was destroyed ends it with the next piece.
 */
export async function feed(source: AsyncIterable<Uint8Array>, stream: Sink): Promise<void> {
  try {
    for await (const piece of source) {
      if (stream.destroyed) return
      if (!stream.write(piece)) await drained(stream)
    }
    stream.end()
  } catch (error) {
    stream.destroy(error as Error)
  }
}

/** What comes out of a stream when the source is put into it. */
export async function* through(
  source: AsyncIterable<Uint8Array>,
  stream: Transform,
): AsyncGenerator<Uint8Array> {
  void feed(source, stream)
  try {
    for await (const piece of stream) yield piece as Uint8Array
  } finally {
    stream.destroy()
  }
}

/** The first bytes, at least `size` unless it is shorter, and an iterable of everything. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
  size: number,
): Promise<{ head: Buffer; all: AsyncIterable<Uint8Array> }> {
  const pieces = source[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  while (head.length < size) {
    const { value, done } = await pieces.next()
    if (done) break
    head = Buffer.concat([head, value])
  }
  async function* all() {
    try {
      if (head.length > 0) yield head
      for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
    } finally {
      await pieces.return?.()
    }
  }
  return { head, all: all() }
}

/** Everything, for what is known to be small. */
export async function gathered(data: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of data) pieces.push(piece)
  return Buffer.concat(pieces)
}
