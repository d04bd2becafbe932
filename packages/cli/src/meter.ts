import { bytes, printable } from './table.ts'

const SHOW_EVERY_MS = 100
/** Work that is done sooner shows nothing. */
const PATIENCE_MS = 400
/** Widths, in characters. */
const BAR = 24
const NAME = 24

/** How much of a transfer is done, on a terminal's stderr; a program, `--quiet` and `--json` see nothing of it. */
export class Meter implements Disposable {
  readonly #name: string
  readonly #total: number | undefined
  readonly #shows: boolean
  readonly #began = performance.now()
  #last = this.#began + PATIENCE_MS - SHOW_EVERY_MS
  #shown = false
  #done = 0

  /** @param total bytes to come; undefined when nobody knows */
  constructor(name: string, total: number | undefined, flags: { quiet?: boolean; json?: boolean }) {
    const plain = printable(name)
    this.#name = plain.length > NAME ? `…${plain.slice(1 - NAME)}` : plain
    this.#total = total
    this.#shows = process.stderr.isTTY === true && !flags.quiet && !flags.json
  }

  /** Counts what passes through. */
  async *through(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const part of body) {
      this.add(part.length)
      yield part
    }
  }

  add(count: number): void {
    this.at(this.#done + count)
  }

  /** Says how far it has come, which may be less than before. */
  at(done: number): void {
    this.#done = done
    if (this.#shows && performance.now() - this.#last >= SHOW_EVERY_MS) this.#show()
  }

  [Symbol.dispose](): void {
    if (this.#shown) process.stderr.write('\r\x1b[K')
  }

  #show(): void {
    this.#last = performance.now()
    this.#shown = true
    const rate = this.#done / ((this.#last - this.#began) / 1000)
    const width = process.stderr.columns || 80
    const line = `${this.#name} ${this.#portion()} ${bytes(this.#done)} ${bytes(rate)}/s`
    process.stderr.write(`\r\x1b[K${line.slice(0, width - 1)}`)
  }

  #portion(): string {
    if (!this.#total) return ''
    const part = Math.min(1, this.#done / this.#total)
    const full = Math.round(part * BAR)
    return `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${Math.floor(part * 100)}%`
  }
}
