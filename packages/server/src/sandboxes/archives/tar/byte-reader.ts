/** Reads a stream of bytes in the portions that a format asks for, and keeps no more than a piece of it. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array(0)
  #ended = false

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]()
  }

  /** The next bytes, for small counts. @returns null at the end of the stream @throws Error when it ends in between */
  async exactly(size: number): Promise<Buffer | null> {
    const parts: Uint8Array[] = []
    let missing = size
    for await (const part of this.#take(size)) {
      parts.push(part)
      missing -= part.length
    }
    if (missing === size && size > 0) return null
    if (missing > 0) throw new TarError('it ends in the middle')
    return Buffer.concat(parts)
  }

  /** So many bytes, as they come. @throws Error when the stream ends before */
  async *through(size: number): AsyncGenerator<Uint8Array> {
    let missing = size
    for await (const part of this.#take(size)) {
      missing -= part.length
      yield part
    }
    if (missing > 0) throw new TarError('it ends in the middle')
  }

  /** What is left of the stream. */
  rest(): AsyncGenerator<Uint8Array> {
    return this.#take(Number.POSITIVE_INFINITY)
  }

  /** Gives the source up. */
  async close(): Promise<void> {
    this.#ended = true
    await this.#pieces.return?.()
  }

  async *#take(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      if (!(await this.#fill())) return
      const part = this.#piece.subarray(0, left)
      this.#piece = this.#piece.subarray(part.length)
      left -= part.length
      yield part
    }
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0 && !this.#ended) {
      const { value, done } = await this.#pieces.next()
      if (done) this.#ended = true
      else this.#piece = value
    }
    return this.#piece.length > 0
  }
}

/** The bytes are no proper tar archive. The message goes on from "the archive is damaged:". */
export class TarError extends Error {
  override name = 'TarError'
}
