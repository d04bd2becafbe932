import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

/** What happens within the measured time: directories made, files written, then the program to its end. */
export interface TimedCommand {
  argv: readonly string[]
  makeDirs?: readonly string[]
  writeFiles?: Readonly<Record<string, string>>
  /** `tasks` files of the v1 cgroups that the program joins before it begins. */
  joinTasks?: readonly string[]
  /** The v2 cgroup in which the program begins. */
  cloneInto?: string | undefined
}

export interface Overlay {
  lower: string
  upper: string
  work: string
  target: string
  /** A mount point that the programs are not to see. */
  hide?: string | undefined
}

/**
 * Times programs to their end. The forking is done by a small C program, since the time of a fork grows with the
 * process that forks; the overlay is in that program's own mount namespace and ends with it.
 */
export class Timer implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  /** @param dir where the program is built */
  constructor(dir: string, overlay?: Overlay) {
    const program = buildProgram('timer', dir)
    const { lower, upper, work, target, hide } = overlay ?? {}
    const args = [lower, upper, work, target, hide].filter((path) => path !== undefined)
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {})
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Milliseconds. @throws Error when the program does not exit with 0 */
  async run(command: TimedCommand): Promise<number> {
    const { argv, makeDirs = [], writeFiles = {}, joinTasks = [], cloneInto } = command
    const fields = [
      ...makeDirs.map((path) => `d${path}`),
      ...Object.entries(writeFiles).map(([path, value]) => `w${path}=${value}`),
      ...joinTasks.map((path) => `t${path}`),
      ...(cloneInto ? [`g${cloneInto}`] : []),
      ...argv.map((word) => `a${word}`),
    ]
    this.#child.stdin.write(`${fields.join('\x1f')}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the timer ended while it ran: ${argv.join(' ')}`)
    const [nsec = 0, status] = value.split(' ').map(Number)
    if (status !== 0) throw new Error(`wait status ${status}: ${argv.join(' ')}`)
    return nsec / 1e6
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end()
    await ended
  }
}

/** Compiles `<name>.c`, which stands beside this, into `dir`. @returns the program */
export function buildProgram(name: 'timer' | 'terminal', dir: string): string {
  const program = join(dir, name)
  const flags = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-O2', '-static']
  execFileSync('cc', [...flags, '-o', program, join(import.meta.dirname, `${name}.c`)], { stdio: 'inherit' })
  return program
}
