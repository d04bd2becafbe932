import { once } from 'node:events'
import { createZstdDecompress, type ZstdDecompress } from 'node:zlib'

/**
 * What zstd has compressed, of all frames one after another: node:zlib stops at the end of the first, when the next one
 * begins in the same piece.
 * @throws Error with a code of node:zlib for what is no zstd, between frames and behind them, too
 */
export async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let frames = new Frames()
  try {
    for await (let piece of source)
      while (piece.length > 0) {
        yield* frames.write(piece)
        piece = piece.subarray(piece.length - frames.left)
        if (piece.length > 0) frames = frames.next()
      }
    yield* frames.end()
  } finally {
    frames.destroy()
  }
}

/** As many frames as one decompressor takes. */
class Frames {
  readonly #zstd: ZstdDecompress = createZstdDecompress()
  readonly #failed: Promise<never>
  #given = 0

  constructor() {
    this.#failed = once(this.#zstd, 'error').then(([error]) => {
      throw error
    })
    this.#failed.catch(() => {})
  }

  /** Bytes of the last piece that lie behind what it takes. */
  get left(): number {
    return this.#given - this.#zstd.bytesWritten
  }

  write(piece: Uint8Array): AsyncGenerator<Uint8Array> {
    this.#given += piece.length
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#zstd.write(piece, () => resolve())
    return this.#read(promise)
  }

  end(): AsyncGenerator<Uint8Array> {
    const ended = once(this.#zstd, 'end').then(() => {})
    ended.catch(() => {})
    this.#zstd.end()
    return this.#read(ended)
  }

  next(): Frames {
    this.destroy()
    return new Frames()
  }

  destroy(): void {
    this.#zstd.destroy()
  }

  /** What comes out until something has happened. */
  async *#read(until: Promise<void>): AsyncGenerator<Uint8Array> {
    let isOver = false
    const over = until.then(() => {
      isOver = true
    })
    over.catch(() => {})
    for (;;) {
      for (let out = this.#zstd.read(); out !== null; out = this.#zstd.read()) yield out as Uint8Array
      if (isOver) return
      const more = new AbortController()
      const readable = once(this.#zstd, 'readable', { signal: more.signal })
      readable.catch(() => {})
      try {
        await Promise.race([over, readable, this.#failed])
      } finally {
        more.abort()
      }
    }
  }
}
