import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'caisson'
import { serveArguments } from '../packages/cli/src/server-process.ts'
import { destroyDataDirectory, processesNaming } from './data-directory.ts'

const root = resolve(import.meta.dirname, '..')
const READY_MS = 30_000

/** Built images; the benchmark builds none. */
export const IMAGES = process.env.CAISSON_IMAGES_DIR ?? '/var/lib/caisson/images'

/** A server of the benchmark's own, as `caisson serve` starts it, with nothing in it. */
export class BenchServer implements AsyncDisposable {
  readonly dataDir: string
  readonly client: Client
  readonly #child: ChildProcess

  private constructor(dataDir: string, child: ChildProcess) {
    this.dataDir = dataDir
    this.#child = child
    this.client = new Client({ url: `unix://${dataDir}/run/api.sock` })
  }

  /**
   * @param workDir is removed when the benchmark ends, however it ends
   * @param env more of the environment
   * @param netns name of a network namespace in which it runs; what makes networks for sandboxes never runs in the host's
   */
  static async start(
    workDir: string,
    env: Record<string, string> = {},
    netns?: string,
  ): Promise<BenchServer> {
    const dataDir = await mkdtemp(join(workDir, 's-'))
    const server = new BenchServer(dataDir, spawnServer(dataDir, env, netns))
    try {
      await server.#ready()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The privileged process beside the server. */
  get launcherPid(): number {
    return processesNaming(this.dataDir).find((pid) => pid !== this.pid) ?? 0
  }

  async #ready(): Promise<void> {
    for (const end = Date.now() + READY_MS; ; await sleep(10)) {
      const ready = await this.client.json('/readyz').then(
        () => true,
        () => false,
      )
      if (ready) return
      if (this.#child.exitCode !== null || Date.now() > end)
        throw new Error(
          `the server did not become ready:\n${readFileSync(join(this.dataDir, 'log'), 'utf8')}`,
        )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
    await destroyDataDirectory(this.dataDir)
  }
}

function spawnServer(dataDir: string, env: Record<string, string>, netns?: string): ChildProcess {
  const own = Object.entries(process.env).filter(([name]) => !/^(CAISSON_|NODE_ENV$)/.test(name))
  const log = openSync(join(dataDir, 'log'), 'a')
  const command = [process.execPath, ...serveArguments([])]
  const [file = '', ...args] = netns ? ['nsenter', `--net=/run/netns/${netns}`, '--', ...command] : command
  const child = spawn(file, args, {
    env: {
      ...Object.fromEntries(own),
      NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/caisson'),
      CAISSON_DATA_DIR: dataDir,
      CAISSON_IMAGES_DIR: IMAGES,
      ...env,
    },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  return child
}

/** The directory of the base image's newest build. */
export function baseRoot(): string {
  const digest = readFileSync(join(IMAGES, 'base/current'), 'utf8').trim()
  return join(IMAGES, 'base', digest, 'rootfs')
}
