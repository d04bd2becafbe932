import type { CallOptions } from './client.ts'
import type { Command, StartOptions } from './exec.ts'
import type { Execution, TerminalSize } from './execution.ts'
import type { OutputOptions } from './output.ts'
import type { ExecResult } from './result.ts'

/** A terminal and what runs in it. */
export interface OpenTerminal extends Omit<StartOptions, 'tty'>, Partial<TerminalSize> {
  /** Default: a login shell. */
  command?: Command | undefined
  signal?: AbortSignal | undefined
}

/**
 * A program in a terminal. Iterating gives what it draws; it runs on when nobody looks, and
 * `sandbox.attach(terminal.execution.id)` finds it again with what it has drawn.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create()
 * const terminal = await sandbox.terminal({ cols: 100, rows: 30 })
 * await terminal.write('stty size; exit\n')
 * for await (const bytes of terminal) process.stdout.write(bytes)
 * console.log((await terminal.wait()).exitCode)
 * ```
 */
export class Terminal implements AsyncIterable<Uint8Array> {
  readonly execution: Execution

  constructor(execution: Execution) {
    this.execution = execution
  }

  /** What the program writes, from the beginning to its end. Leaving the loop does not end it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const { data } of this.execution.terminal()) yield data
  }

  /** Sends what a keyboard would. */
  write(data: string | Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.execution.stdin.write(data, options)
  }

  /** Tells the program its size. */
  resize(size: TerminalSize, options: CallOptions = {}): Promise<void> {
    return this.execution.resize(size, options)
  }

  /** Ends it with its whole process tree, or sends another signal. */
  kill(signal = 'SIGKILL', options: CallOptions = {}): Promise<void> {
    return this.execution.kill(signal, 'tree', options)
  }

  /** Waits for the end. */
  wait(options: OutputOptions & { signal?: AbortSignal | undefined } = {}): Promise<ExecResult> {
    return this.execution.wait(options)
  }
}
