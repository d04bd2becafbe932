import type { Sandbox } from './sandbox.ts'

/** One page of sandboxes; iterating goes on through the following pages. */
export class SandboxPage implements AsyncIterable<Sandbox> {
  readonly sandboxes: readonly Sandbox[]
  /** How many there are on all pages. */
  readonly total: number
  readonly #next: (() => Promise<SandboxPage>) | undefined

  constructor(sandboxes: readonly Sandbox[], total: number, next: (() => Promise<SandboxPage>) | undefined) {
    this.sandboxes = sandboxes
    this.total = total
    this.#next = next
  }

  /** The following page; undefined after the last. */
  async next(): Promise<SandboxPage | undefined> {
    return this.#next?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Sandbox, void, undefined> {
    for (let page: SandboxPage | undefined = this; page; page = await page.next()) yield* page.sandboxes
  }
}
