import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { accessSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'
import { DRIVER, TestServer } from '../test-server.ts'

export interface Ran {
  code: number | null
  stdout: Buffer
  stderr: string
}

export interface RunOptions {
  input?: string | Uint8Array
  /** Stdin stays open after `input`. */
  open?: boolean
  env?: Record<string, string>
  onSpawn?: (child: ChildProcess) => void
}

const PROGRAMS = ['ssh', 'sftp', 'scp', 'rsync', 'git', 'ssh-keygen']

/** Why these tests can not run here; empty when they can. */
export function missing(): string {
  const absent = PROGRAMS.filter((program) => !isInstalled(program))
  if (absent.length > 0) return `not installed: ${absent.join(', ')}`
  return DRIVER === 'oci' ? '' : `the ${DRIVER} driver has no user with a login shell of its own`
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((place) => {
    try {
      accessSync(join(place, program))
      return true
    } catch {
      return false
    }
  })
}

/** A server with SSH, a sandbox, and a client's directory with a key that was added. */
export class SshWorld implements AsyncDisposable {
  readonly server: TestServer
  readonly sandbox: Sandbox
  /** The client's files; nothing of the machine's own SSH settings is used. */
  readonly directory: string
  port = 0

  private constructor(server: TestServer, sandbox: Sandbox, directory: string) {
    this.server = server
    this.sandbox = sandbox
    this.directory = directory
  }

  static async make(address = '127.0.0.1:0'): Promise<SshWorld> {
    const directory = await mkdtemp('/tmp/caisson-ssh-')
    const server = await TestServer.start({ ssh: address })
    try {
      const client = server.client()
      const sandbox = await Sandbox.create({ name: 'work', idleTimeout: '0', client })
      const world = new SshWorld(server, sandbox, directory)
      await world.trust()
      await client.call('addSshKey', { publicKey: await world.makeKey('key') })
      return world
    } catch (error) {
      await server[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** Learns where the server is and its key; to be called again after a restart. */
  async trust(): Promise<void> {
    const { ssh } = await this.server.client().call('getServer')
    this.port = ssh!.port
    await writeFile(this.path('known_hosts'), `sandbox ${ssh!.hostKey}\n`)
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  /** Makes a key pair. @returns the line of its public half */
  async makeKey(name: string, ...options: string[]): Promise<string> {
    const type = options.length > 0 ? options : ['-t', 'ed25519']
    execFileSync('ssh-keygen', ['-q', ...type, '-N', '', '-C', name, '-f', this.path(name)])
    return readFile(`${this.path(name)}.pub`, 'utf8')
  }

  options(key = 'key'): string[] {
    const settings = [
      'HostKeyAlias=sandbox',
      `UserKnownHostsFile=${this.path('known_hosts')}`,
      'StrictHostKeyChecking=yes',
      'BatchMode=yes',
      'IdentitiesOnly=yes',
    ]
    return ['-F', 'none', '-i', this.path(key), ...settings.flatMap((setting) => ['-o', setting])]
  }

  /** For programs that take a command line: git and rsync. */
  get command(): string {
    return ['ssh', '-p', this.port, ...this.options()].join(' ')
  }

  ssh(args: string[], options: RunOptions & { user?: string; key?: string } = {}): Promise<Ran> {
    const { user = this.sandbox.id, key } = options
    return run('ssh', ['-p', `${this.port}`, ...this.options(key), '-l', user, '127.0.0.1', ...args], options)
  }

  /** `ssh` with options of its own before the host. */
  sshWith(flags: string[], args: string[], options: RunOptions = {}): Promise<Ran> {
    return run(
      'ssh',
      ['-p', `${this.port}`, ...this.options(), ...flags, '-l', this.sandbox.id, '127.0.0.1', ...args],
      options,
    )
  }

  /** Commands of sftp, one a line; ends at the first that fails. */
  sftp(lines: string[]): Promise<Ran> {
    const where = `${this.sandbox.id}@127.0.0.1`
    return run('sftp', ['-P', `${this.port}`, ...this.options(), '-b', '-', where], {
      input: lines.join('\n'),
    })
  }

  scp(...args: string[]): Promise<Ran> {
    return run('scp', ['-P', `${this.port}`, ...this.options(), ...args])
  }

  remote(path: string): string {
    return `${this.sandbox.id}@127.0.0.1:${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Runs a program to its end. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout!.on('data', (data) => out.push(data))
    child.stderr!.on('data', (data) => err.push(data))
    child.stdin?.on('error', () => {})
    if (options.open) child.stdin?.write(options.input!)
    else child.stdin?.end(options.input)
    child.on('error', reject)
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() }),
    )
    options.onSpawn?.(child)
  })
}

const DEADLINE_MS = 20_000

/** Waits until `condition` holds; fails when it never does. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + DEADLINE_MS; !(await condition()); await sleep(20))
    if (Date.now() > end) throw new Error(`waited in vain for: ${condition}`)
}
