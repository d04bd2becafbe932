import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { glob, mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'caisson'
import { serveArguments } from '../packages/cli/src/server-process.ts'

const root = resolve(import.meta.dirname, '..')
const node = join(root, 'node_modules/.bin/node')
const isRoot = process.getuid?.() === 0

export type TestDriver = 'oci' | 'local' | 'memory'

/** The backend under test: `CAISSON_TEST_DRIVER`; default: what isolates when we are root, else what needs no rights. */
export const DRIVER = (process.env.CAISSON_TEST_DRIVER ?? (isRoot ? 'oci' : 'local')) as TestDriver

/** Built images, shared with the ordinary server: tests never build one. */
const IMAGES =
  process.env.CAISSON_IMAGES_DIR ??
  join(isRoot ? '/var/lib/caisson' : `${process.env.HOME}/.local/share/caisson`, 'images')

const READY_MS = 30_000
const STOP_MS = 15_000
/** What was left behind has so long to end by itself, and again by force. */
const LEFTOVER_MS = 3000

export interface ServerOptions {
  driver?: TestDriver
  /** `host:port` of a TCP listener; default: none. */
  listen?: string
  /** `host:port` of the SSH server; default: none, so that servers beside each other do not fight for the default port. */
  ssh?: string
  /** The named place at which the server kills itself; see failpoint.ts. */
  failpoint?: string
  /** More of the environment, such as limits. */
  env?: Record<string, string>
  /** What `caisson.json` in the data directory says. */
  config?: Record<string, unknown>
  /** Name of a network namespace in which the server runs; its unix socket works from everywhere. */
  netns?: string
  /** What the server stands on; ends after it. */
  ground?: AsyncDisposable
}

export interface CliResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface CliOptions {
  /** Sent to stdin, which is then closed; `'open'`: a pipe that nobody writes; default: /dev/null. */
  input?: string | Uint8Array
  stdin?: 'open'
  /** An open file as stdin. */
  stdinFd?: number
  env?: Record<string, string | undefined>
  cwd?: string
  /** Given the process while it runs. */
  onSpawn?: (child: ChildProcess) => void
}

/** A real server on a data directory of its own, for tests and measurements that go through the public door. */
export class TestServer implements AsyncDisposable {
  readonly dataDir: string
  readonly driver: TestDriver
  readonly #clients: Client[] = []
  #child: ChildProcess | undefined
  #options: ServerOptions

  private constructor(dataDir: string, options: ServerOptions) {
    this.dataDir = dataDir
    this.driver = options.driver ?? DRIVER
    this.#options = options
  }

  /** A new data directory and, unless it is said otherwise, a server on it. */
  static async start(options: ServerOptions & { started?: boolean } = {}): Promise<TestServer> {
    // Short, because a socket's path holds 107 bytes.
    const dataDir = await mkdtemp('/tmp/caisson-t-')
    const server = new TestServer(dataDir, options)
    try {
      if (options.config) await writeFile(join(dataDir, 'caisson.json'), JSON.stringify(options.config))
      if (options.started !== false) await server.up()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  get socketPath(): string {
    return join(this.dataDir, 'run/api.sock')
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** The environment in which everything of this server runs; nothing of the caller's own settings. */
  get env(): Record<string, string> {
    const own = Object.entries(process.env).filter(
      ([name]) => !/^(CAISSON_|VITEST|NODE_ENV$|FORCE_COLOR$)/.test(name),
    )
    return {
      ...(Object.fromEntries(own) as Record<string, string>),
      NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/caisson'),
      NO_COLOR: '1',
      CAISSON_DATA_DIR: this.dataDir,
      CAISSON_IMAGES_DIR: IMAGES,
      CAISSON_DRIVER: this.driver,
      CAISSON_POOL_SIZE: '4Gi',
      CAISSON_SSH_LISTEN: this.#options.ssh ?? 'off',
      CAISSON_LISTEN: this.#options.listen ?? 'off',
      ...this.#options.env,
    }
  }

  /** A client over the unix socket; closed with the server. */
  client(): Client {
    const client = new Client({ url: `unix://${this.socketPath}` })
    this.#clients.push(client)
    return client
  }

  /** What the server has logged. */
  log(): string {
    const path = join(this.dataDir, 'test.log')
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }

  /** Starts the server process and waits until it is ready. `failpoint` arms one for this life only. */
  async up(life: { failpoint?: string } = {}): Promise<void> {
    const log = openSync(join(this.dataDir, 'test.log'), 'a')
    const failpoint = life.failpoint ?? this.#options.failpoint
    const [file, args] = this.#command(serveArguments([]))
    const child = spawn(file, args, {
      env: { ...this.env, ...(failpoint && { CAISSON_FAILPOINT: failpoint }) },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#child = child
    const client = this.client()
    for (const end = Date.now() + READY_MS; ; await sleep(10)) {
      if (
        await client.json('/readyz').then(
          () => true,
          () => false,
        )
      )
        return
      const gone = child.exitCode !== null || child.signalCode !== null
      if (gone || Date.now() > end) throw new Error(`the server did not become ready:\n${this.log()}`)
    }
  }

  /** `nsenter` and not `ip netns exec`, which hides the cgroups by a /sys of its own. */
  #command(args: string[]): [string, string[]] {
    const { netns } = this.#options
    return netns ? ['nsenter', [`--net=/run/netns/${netns}`, '--', node, ...args]] : [node, args]
  }

  /** Ends the server as a power loss would: no handler of it runs. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends the server in the ordinary way. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** A new server on the same data directory. */
  async restart(life: { failpoint?: string } = {}): Promise<void> {
    await this.stop()
    await this.up(life)
  }

  /** Resolves when the server process has ended by itself, as at a failpoint. */
  async died(): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once('exit', resolve))
  }

  /** Runs the CLI against this data directory. */
  cli(args: string[], options: CliOptions = {}): Promise<CliResult> {
    return runCli(args, { ...options, env: { ...this.env, ...options.env } })
  }

  /** Ends every sandbox, then the server and its launcher, and removes the data. Works after a crash as well. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!(await this.#endSandboxes()) && this.#child) {
        await this.kill9()
        await this.up({ failpoint: '' }).catch(() => {})
        await this.#endSandboxes()
      }
    } finally {
      await this.stop()
      for (const client of this.#clients) await client.close()
      await this.#endLeftovers()
      await removeCgroups(this.dataDir)
      await rm(this.dataDir, { recursive: true, force: true })
      await this.#options.ground?.[Symbol.asyncDispose]()
    }
  }

  async #endSandboxes(): Promise<boolean> {
    const client = this.client()
    try {
      for (;;) {
        const { sandboxes } = await client.call('listSandboxes', { limit: 100 })
        if (sandboxes.length === 0) return true
        for (const { id } of sandboxes) await client.call('deleteSandbox', { id })
      }
    } catch {
      return false
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child) return
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await this.died()
    clearTimeout(timer)
  }

  /** The launcher outlives the server on purpose, and so does a server that the CLI started. */
  async #endLeftovers(): Promise<void> {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      for (const pid of processesOf(this.dataDir)) kill(pid, signal)
      for (const end = Date.now() + LEFTOVER_MS; Date.now() < end; await sleep(20))
        if (processesOf(this.dataDir).length === 0) return
    }
  }
}

/**
 * Processes of a data directory, which is unique to its test: those that name it in their command line or environment,
 * and those in the cgroups that carry its digest, as everything inside a sandbox is.
 */
export function processesOf(dataDir: string): number[] {
  const marks = [dataDir, cgroupOf(dataDir)]
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => {
      const said = ['cmdline', 'environ', 'cgroup'].map((name) => textOf(`/proc/${pid}/${name}`)).join()
      return marks.some((mark) => said.includes(mark))
    })
}

const cgroupOf = (dataDir: string): string =>
  `caisson-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`

/** Empty when the process has gone meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** Empty cgroups are directories that the kernel keeps until somebody removes them; the deepest go first. */
async function removeCgroups(dataDir: string): Promise<void> {
  for await (const path of glob(`/sys/fs/cgroup/{,*/}${cgroupOf(dataDir)}`)) {
    const inner = await readdir(path, { recursive: true, withFileTypes: true })
    const folders = inner
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
    for (const folder of [path, ...folders].sort((a, b) => b.length - a.length))
      await rmdir(folder).catch(() => {})
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

/** Runs the CLI to its end. */
export function runCli(args: string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const piped = options.input !== undefined || options.stdin === 'open'
    const child = spawn(node, [join(root, 'packages/cli/src/main.ts'), ...args], {
      env: options.env as NodeJS.ProcessEnv,
      cwd: options.cwd ?? '/',
      stdio: [options.stdinFd ?? (piped ? 'pipe' : 'ignore'), 'pipe', 'pipe'],
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout!.on('data', (data) => out.push(data))
    child.stderr!.on('data', (data) => err.push(data))
    child.stdin?.on('error', () => {})
    if (options.input !== undefined) child.stdin!.end(options.input)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      child.stdin?.destroy()
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
    })
    options.onSpawn?.(child)
  })
}

/** A directory of a test's own, removed with it. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp('/tmp/caisson-t-')
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
