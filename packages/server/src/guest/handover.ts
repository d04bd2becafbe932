/** Gives what comes to those who wait for it, in order, until the end. What nobody waits for is the caller's to keep. */
export class Handover<T> {
  readonly #waiting: PromiseWithResolvers<IteratorResult<T>>[] = []
  #ended = false
  #failure: Error | null = null

  /** The next value, or the end. @throws the failure */
  next(): Promise<IteratorResult<T>> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    if (this.#ended) return Promise.resolve(this.#done)
    const waiting = Promise.withResolvers<IteratorResult<T>>()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  /** Whether somebody waits. */
  get awaited(): boolean {
    return this.#waiting.length > 0
  }

  /** Gives a value to the one who waits longest. */
  give(value: T): void {
    this.#waiting.shift()?.resolve({ done: false, value })
  }

  /** Nothing more comes. Ends a failure as well: who has left need not hear of it. */
  end(): void {
    this.#ended = true
    this.#failure = null
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(this.#done)
  }

  fail(error: Error): void {
    this.#failure = error
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
  }

  /** Whether it goes on. */
  get open(): boolean {
    return !this.#ended && this.#failure === null
  }

  get #done(): IteratorResult<T> {
    return { done: true, value: undefined }
  }
}
