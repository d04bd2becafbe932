import type { Execution, ExecutionEnding, Sandbox } from '@caisson/protocol/resources'
import type { Collector } from './collect.ts'

export type ResourcesGranted = Sandbox['resources']['granted']

/**
 * How a command ended and what it wrote. A non-zero exit code is a result and not an error; `throwIfFailed()` makes
 * it one. Text is decoded as UTF-8 when it is asked for; the `…Bytes` members are the bytes as they came.
 *
 * @example
 * ```ts
 * import { run } from 'caisson'
 *
 * const result = await run(['sh', '-c', 'echo out; echo err >&2; exit 3'])
 * console.log(result.exitCode, result.stdout, result.stderr) // 3 'out\n' 'err\n'
 * ```
 */
export class ExecResult {
  /** The record as the server keeps it. */
  readonly execution: Execution
  /** Limits that the sandbox had; null when they could not be learned. */
  readonly resources: ResourcesGranted | null
  readonly #output: Collector
  readonly #texts = new Map<string, string>()

  constructor(execution: Execution, output: Collector, resources: ResourcesGranted | null) {
    this.execution = execution
    this.#output = output
    this.resources = resources
  }

  get stdout(): string {
    return this.#text('stdout')
  }

  get stderr(): string {
    return this.#text('stderr')
  }

  /** Both streams, in the order in which they came. */
  get output(): string {
    return this.#text()
  }

  get stdoutBytes(): Uint8Array {
    return this.#output.bytes('stdout')
  }

  get stderrBytes(): Uint8Array {
    return this.#output.bytes('stderr')
  }

  get outputBytes(): Uint8Array {
    return this.#output.bytes()
  }

  /** The program's own exit code; null unless `ending` is "exited". */
  get exitCode(): number | null {
    return this.execution.exitCode
  }

  /** How it ended, told by evidence. */
  get ending(): ExecutionEnding {
    return this.execution.ending ?? 'host-lost'
  }

  /** The signal that ended the program, such as "SIGKILL", or null. */
  get signal(): string | null {
    return this.execution.signal
  }

  /** The evidence for the ending, in a sentence, or null. */
  get message(): string | null {
    return this.execution.message
  }

  /** Milliseconds from start to end. */
  get durationMs(): number {
    return this.execution.durationMs ?? 0
  }

  /** Processes of the sandbox that the kernel killed for memory meanwhile. */
  get oomKills(): number {
    return this.execution.oomKills
  }

  /** Whether output is missing: not kept by the server at its limit, or beyond `maxBuffer` here. */
  get outputTruncated(): boolean {
    return this.execution.outputTruncated || this.#output.truncated
  }

  /** Whether the sandbox was paused, and was resumed for this. */
  get autoResumed(): boolean {
    return this.execution.autoResumed
  }

  /** Whether the program exited with code 0. */
  get ok(): boolean {
    return this.exitCode === 0
  }

  /**
   * Returns this result when the program exited with code 0.
   *
   * @throws ExecFailed otherwise
   */
  throwIfFailed(): this {
    if (!this.ok) throw new ExecFailed(this)
    return this
  }

  /** Every field as plain data, texts included. */
  toJSON() {
    return {
      stdout: this.stdout,
      stderr: this.stderr,
      output: this.output,
      exitCode: this.exitCode,
      ending: this.ending,
      signal: this.signal,
      message: this.message,
      durationMs: this.durationMs,
      oomKills: this.oomKills,
      outputTruncated: this.outputTruncated,
      autoResumed: this.autoResumed,
      resources: this.resources,
      execution: this.execution,
    }
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON()
  }

  #text(stream?: 'stdout' | 'stderr'): string {
    const key = stream ?? ''
    const text = this.#texts.get(key) ?? new TextDecoder().decode(this.#output.bytes(stream))
    this.#texts.set(key, text)
    return text
  }
}

/** Thrown by `throwIfFailed()`; `result` says everything. */
export class ExecFailed extends Error {
  override readonly name = 'ExecFailed'
  readonly result: ExecResult

  constructor(result: ExecResult) {
    const [program = ''] = result.execution.argv
    const how = result.exitCode === null ? (result.message ?? result.ending) : `exit code ${result.exitCode}`
    const tail = result.stderr.trim().slice(-1000)
    super(`"${program}" failed: ${how}.${tail ? `\n${tail}` : ''}`)
    this.result = result
  }
}
