import type { TransportResponse } from './transport/transport.ts'

/** An archive while it is made. Iterating gives its bytes, once; leaving the loop ends the request. */
export class ArchiveDownload implements AsyncIterable<Uint8Array> {
  readonly #response: TransportResponse
  #skipped: number | undefined

  constructor(response: TransportResponse) {
    this.#response = response
  }

  /**
   * Entries that could not be read or that no archive can hold, known after the last byte; undefined before, and
   * where it cannot be learned, as with `fetch`.
   */
  get skipped(): number | undefined {
    return this.#skipped
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#response.body
    const skipped = this.#response.trailer?.('x-caisson-skipped')
    if (skipped !== undefined) this.#skipped = Number(skipped)
  }
}
