/** Lets works of the same key follow one another; works of different keys go their own ways. */
export class Turns {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** Does it when the works of this key before it are over, however they ended. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    this.#tails.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key)
    }
  }
}
