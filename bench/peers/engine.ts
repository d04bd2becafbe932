import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { processesNaming } from '../data-directory.ts'
import type { Timer } from '../timer.ts'
import type { Peer } from './peer.ts'

const execute = promisify(execFile)
const DEADLINE_MS = 120_000
const ENGINE_EVERY = 10
/** In the run's directory: what the engines have of it. */
const LEFTOVERS = 'engines'

/** Root here may lack CAP_SYS_RESOURCE, and these engines ask for more than its own limits. */
const ULIMITS = ['--ulimit', 'nofile=8192:8192', '--ulimit', 'nproc=1000:1000']

/** podman or docker with a copy of the base image and a container that runs. */
export class EnginePeers implements AsyncDisposable {
  readonly run: Peer
  readonly exec: Peer
  readonly commit: Peer
  readonly #engine: string
  /** Of the image and of the container. */
  readonly #tag: string

  private constructor(engine: string, tag: string, limits: string[], timer: Timer) {
    this.#engine = engine
    this.#tag = tag
    const name = basename(engine)
    this.run = {
      name: `${name} run`,
      every: ENGINE_EVERY,
      run: () => timer.run({ argv: [engine, 'run', '--rm', ...limits, tag, 'true'] }),
    }
    this.exec = {
      name: `${name} exec`,
      every: ENGINE_EVERY,
      run: () => timer.run({ argv: [engine, 'exec', tag, 'true'] }),
    }
    const kept = `${tag}-kept`
    this.commit = {
      name: `${name} commit, 10 MiB`,
      every: ENGINE_EVERY,
      run: async () => {
        const ms = await timer.run({ argv: [engine, 'commit', tag, kept] })
        await command(engine, ['rmi', '--force', kept])
        return ms
      },
    }
  }

  /** @throws Error with the reason why this engine cannot be measured here */
  static async open(
    engine: string,
    { workDir, root, limits, timer }: { workDir: string; root: string; limits: string[]; timer: Timer },
  ): Promise<EnginePeers> {
    const tag = `caisson-bench-${process.pid}`
    const options = ['--network', 'none', ...ULIMITS, ...limits]
    await command(engine, ['version'])
    // Written first, for the one who cleans up after a benchmark that was killed.
    await appendFile(join(workDir, LEFTOVERS), `${engine} ${tag}\n`)
    await importImage(engine, root, tag)
    const peers = new EnginePeers(engine, tag, options, timer)
    try {
      await timer.run({
        argv: [
          engine,
          'run',
          '--detach',
          '--stop-signal',
          'SIGKILL',
          '--name',
          tag,
          ...options,
          tag,
          'sleep',
          'infinity',
        ],
      })
      await command(engine, ['exec', tag, 'sh', '-c', 'head -c 10485760 /dev/urandom >/data'])
      return peers
    } catch (error) {
      await peers[Symbol.asyncDispose]()
      throw error
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return remove(this.#engine, this.#tag)
  }
}

async function remove(engine: string, tag: string): Promise<void> {
  await command(engine, ['rm', '--force', tag]).catch(() => {})
  await command(engine, ['rmi', '--force', `${tag}-kept`]).catch(() => {})
  await command(engine, ['rmi', '--force', tag]).catch(() => {})
}

/** Removes what the engines still have of a run. */
export async function removeEngineLeftovers(workDir: string): Promise<void> {
  const text = await readFile(join(workDir, LEFTOVERS), 'utf8').catch(() => '')
  for (const line of text.split('\n').filter(Boolean)) {
    const [engine = '', tag = ''] = line.split(' ')
    await remove(engine, tag)
    // A command of the engine that was under way has gone on, and may have made what was just removed.
    for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await sleep(100))
      if (processesNaming(tag).length === 0) break
    await remove(engine, tag)
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
  const load = spawn(engine, ['import', '-', tag], { stdio: [tar.stdout, 'ignore', 'ignore'] })
  // Only the engine may hold the pipe: else it never ends when the engine dies.
  tar.stdout.destroy()
  const [code] = await once(load, 'exit', { signal: AbortSignal.timeout(DEADLINE_MS) })
  if (code !== 0) throw new Error(`"${engine} import" failed`)
}
