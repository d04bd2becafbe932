import { SandboxError } from '@caisson/protocol/errors'

/** Progress is told after each of these. */
const PIECE = 1_048_576

/** A source of pieces from which any number of bytes can be taken. */
export class Pieces {
  readonly #iterator: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array()

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** @throws SandboxError `invalid_request` when the source ends before */
  async *take(bytes: number, taken: (bytes: number) => void): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0) await this.#pull(left)
      const piece = this.#rest.subarray(0, Math.min(left, PIECE))
      this.#rest = this.#rest.subarray(piece.length)
      left -= piece.length
      yield piece
      taken(bytes - left)
    }
  }

  /** Everything, however much it is. */
  async *all(taken: (bytes: number) => void): AsyncGenerator<Uint8Array, void, undefined> {
    let bytes = 0
    try {
      for (let next = await this.#iterator.next(); !next.done; next = await this.#iterator.next()) {
        yield next.value
        bytes += next.value.length
        taken(bytes)
      }
    } finally {
      this.close()
    }
  }

  /** Not awaited: a source that is waiting for its next piece answers only then. */
  close(): void {
    void Promise.resolve(this.#iterator.return?.()).catch(() => {})
  }

  async #pull(left: number): Promise<void> {
    const next = await this.#iterator.next()
    if (!next.done) this.#rest = next.value
    else {
      const message = `The source ended ${left} bytes before the size that was told.`
      throw new SandboxError('invalid_request', { issues: [{ path: 'size', message }] })
    }
  }
}
