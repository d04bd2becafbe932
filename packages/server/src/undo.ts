/**
 * A stack of undo steps. Acquire, then name the undo on the next line; leaving the scope runs the steps in
 * reverse unless `keep` was called. Steps take no signal: an aborted request must still clean up.
 */
export class Undo implements AsyncDisposable {
  #steps: (() => unknown)[] = []

  add(step: () => unknown): void {
    this.#steps.push(step)
  }

  /** Everything succeeded: nothing is undone. */
  keep(): void {
    this.#steps = []
  }

  /** Hands the steps to another stack, which outlives this scope. */
  move(): Undo {
    const other = new Undo()
    other.#steps = this.#steps
    this.#steps = []
    return other
  }

  /** Runs every step even when one fails, then throws the first failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
