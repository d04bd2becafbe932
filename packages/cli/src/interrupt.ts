import type { Execution } from 'caisson'
import { EXIT, signalNumber } from './failure.ts'
import { note, whenReaderGone } from './stdio.ts'

/** Milliseconds that a command has after Ctrl-C before it is ended by force. */
const GRACE_MS = 2000

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * What Ctrl-C does while a command runs: the first sends the signal on to the command's whole tree and, when it has
 * not ended two seconds later, ends it by force; the second ends it at once. `exitCode` is then set.
 */
export class Interrupts implements Disposable {
  readonly #controller = new AbortController()
  readonly #listeners = SIGNALS.map((signal) => [signal, () => this.#take(signal)] as const)
  readonly #pipe = whenReaderGone(() => this.#readerGone())
  #execution: Execution | undefined
  #timer: NodeJS.Timeout | undefined
  exitCode: number | undefined

  constructor() {
    for (const [signal, listener] of this.#listeners) process.on(signal, listener)
  }

  /** Aborts when the command is to be ended by force. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** From now on there is something to send signals to. */
  started(execution: Execution): void {
    this.#execution = execution
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    for (const [signal, listener] of this.#listeners) process.off(signal, listener)
    this.#pipe[Symbol.dispose]()
  }

  #take(signal: (typeof SIGNALS)[number]): void {
    const first = this.exitCode === undefined
    this.exitCode ??= EXIT.signal + signalNumber(signal)
    if (!first || this.#execution === undefined) {
      this.#force()
      return
    }
    this.#execution.kill(signal, 'tree').catch(() => this.#force())
    this.#timer = setTimeout(() => {
      note('the command goes on after the signal; ending it')
      this.#force()
    }, GRACE_MS)
  }

  #force(): void {
    this.#controller.abort()
  }

  /** Nobody reads the output any more: the command ends as it would in a pipe. */
  #readerGone(): void {
    this.exitCode ??= EXIT.signal + signalNumber('SIGPIPE')
    this.#force()
  }
}
