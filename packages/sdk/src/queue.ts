/** Chunks that come when they like, read when the reader likes; tells its owner how many bytes wait. */
export class Queue<T extends { length: number }> implements AsyncIterable<T> {
  readonly #waiting: T[] = []
  readonly #onBytes: (bytes: number) => void
  #bytes = 0
  #over = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(onBytes: (bytes: number) => void) {
    this.#onBytes = onBytes
  }

  push(item: T): void {
    if (this.#over) return
    this.#waiting.push(item)
    this.#count(item.length)
    this.#wake?.()
  }

  /** The reader finishes after what is waiting. */
  end(): void {
    this.#over = true
    this.#wake?.()
  }

  /** The reader throws after what is waiting. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#error = error
    this.end()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#waiting.shift()
      if (item !== undefined) {
        this.#count(-item.length)
        yield item
        continue
      }
      if (this.#error !== undefined) throw this.#error
      if (this.#over) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#onBytes(this.#bytes)
  }
}
