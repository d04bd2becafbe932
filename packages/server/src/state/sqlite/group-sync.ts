/**
 * Brings what was written to the disk, once for all who wait. Who calls while a flush is under way may have written
 * after it began, and therefore shares the next one. The flush runs in the thread pool: waiting blocks nobody else.
 */
export class GroupSync {
  readonly #flush: () => Promise<void>
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  constructor(flush: () => Promise<void>) {
    this.#flush = once(flush)
  }

  /** Resolves when everything written before the call is on the disk. */
  sync(): Promise<void> {
    this.#next ??= this.#begin(this.#running)
    return this.#next
  }

  async #begin(running: Promise<void>): Promise<void> {
    await running.catch(() => {})
    this.#running = this.#next ?? Promise.resolve()
    this.#next = null
    await this.#flush()
  }
}

/**
 * After a failed flush every later one fails with the same error: the kernel may have dropped the pages that it could
 * not write, and a second fsync would then succeed without them.
 */
function once(flush: () => Promise<void>): () => Promise<void> {
  let failure: { error: unknown } | null = null
  return async () => {
    if (failure !== null) throw failure.error
    try {
      await flush()
    } catch (error) {
      failure = { error }
      throw error
    }
  }
}
