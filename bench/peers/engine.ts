import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { Timer } from '../timer.ts'
import type { Peer } from './peer.ts'

const execute = promisify(execFile)
const DEADLINE_MS = 120_000

/** Root here may lack CAP_SYS_RESOURCE, and these engines ask for more than its own limits. */
const ULIMITS = ['--ulimit', 'nofile=8192:8192', '--ulimit', 'nproc=1000:1000']

/** podman or docker with a copy of the base image and a container that runs. */
export class EnginePeers implements AsyncDisposable {
  readonly run: Peer
  readonly exec: Peer
  readonly #engine: string
  readonly #image: string
  readonly #resident: string

  private constructor(engine: string, image: string, resident: string, limits: string[], timer: Timer) {
    this.#engine = engine
    this.#image = image
    this.#resident = resident
    this.run = {
      name: `${engine} run`,
      run: () => timer.run({ argv: [engine, 'run', '--rm', ...limits, image, 'true'] }),
    }
    this.exec = { name: `${engine} exec`, run: () => timer.run({ argv: [engine, 'exec', resident, 'true'] }) }
  }

  /** @throws Error with the reason why this engine cannot be measured here */
  static async open(engine: string, root: string, limits: string[], timer: Timer): Promise<EnginePeers> {
    const tag = `caisson-bench-${process.pid}`
    const options = ['--network', 'none', ...ULIMITS, ...limits]
    await command(engine, ['version'])
    await importImage(engine, root, tag)
    const peers = new EnginePeers(engine, tag, tag, options, timer)
    try {
      await timer.run({
        argv: [engine, 'run', '--detach', '--name', tag, ...options, tag, 'sleep', 'infinity'],
      })
      return peers
    } catch (error) {
      await peers[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await command(this.#engine, ['rm', '--force', this.#resident]).catch(() => {})
    await command(this.#engine, ['rmi', '--force', this.#image]).catch(() => {})
  }
}

async function command(engine: string, args: string[]): Promise<void> {
  try {
    await execute(engine, args, { timeout: DEADLINE_MS })
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string }
    if (code === 'ENOENT') throw new Error('it is not installed')
    throw new Error(`"${engine} ${args[0]}": ${stderr?.trim().split('\n').at(-1) ?? String(error)}`)
  }
}

/** The image that the sandboxes run, as the engine's own. */
async function importImage(engine: string, root: string, tag: string): Promise<void> {
  const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const load = spawn(engine, ['import', '-', tag], { stdio: [tar.stdout, 'ignore', 'inherit'] })
  // Only the engine may hold the pipe: else it never ends when the engine dies.
  tar.stdout.destroy()
  const [code] = await once(load, 'exit', { signal: AbortSignal.timeout(DEADLINE_MS) })
  if (code !== 0) throw new Error(`"${engine} import" failed`)
}
