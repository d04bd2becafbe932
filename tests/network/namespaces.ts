import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Every name begins so, and goes on with the pid of the process that made it. */
const PREFIX = 'caisson-w-'
let count = 0

/** A network namespace of a test's own; `ip -batch` lines are run inside of it. */
export class Namespace {
  readonly name: string

  private constructor(name: string) {
    this.name = name
  }

  static async make(role: string): Promise<Namespace> {
    const namespace = new Namespace(`${PREFIX}${process.pid}-${count++}-${role}`)
    await run('ip', ['netns', 'add', namespace.name])
    await namespace.ip(['link set lo up'])
    return namespace
  }

  /** Runs lines of `ip` in one process. */
  async ip(lines: string[]): Promise<void> {
    const child = run('ip', ['-n', this.name, '-batch', '-'])
    child.child.stdin!.end(`${lines.join('\n')}\n`)
    await child
  }

  /** Arguments that start a command inside; only its network is another, not its mounts. */
  command(argv: string[]): [string, string[]] {
    return ['nsenter', [`--net=/run/netns/${this.name}`, '--', ...argv]]
  }

  /** Runs a command inside. @returns what it printed. */
  async exec(...argv: string[]): Promise<string> {
    const [file, args] = this.command(argv)
    return (await run(file, args, { maxBuffer: 64 * 1024 * 1024 })).stdout
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'del', this.name]).catch(() => {})
  }
}

/** Removes what a crashed run has left: namespaces whose maker is no more. */
export async function removeLeftovers(): Promise<void> {
  for (const name of namespaces()) {
    const pid = Number(name.slice(PREFIX.length).split('-')[0])
    if (!isAlive(pid)) await run('ip', ['netns', 'del', name]).catch(() => {})
  }
}

function namespaces(): string[] {
  try {
    return readdirSync('/run/netns').filter((name) => name.startsWith(PREFIX))
  } catch {
    return []
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
