import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Launcher, type LaunchPlan } from '../../packages/server/src/launcher/client.ts'
import type { LauncherProgram } from '../../packages/server/src/launcher/start.ts'

const run = promisify(execFile)
const build = resolve(import.meta.dirname, '../../native/build')
const crun = ['/usr/bin/crun', '/usr/local/bin/crun'].find((path) => existsSync(path))

/** Why these tests cannot run here; null when they can. */
export const cannotRun =
  process.getuid?.() !== 0
    ? 'the launcher needs root'
    : !crun
      ? 'crun is not installed'
      : !existsSync(join(build, 'launcher')) || !existsSync(join(build, 'seccomp.bpf'))
        ? 'native/build is not built (make -C native)'
        : null
if (cannotRun) console.warn(`skipped: ${cannotRun}`)

const MOUNT_POINTS = ['proc', 'sys', 'dev', 'tmp', 'etc', '.caisson']

export interface WorldOptions {
  /** Owner of the data directory, as an unprivileged server would be. */
  allowUid?: number
  /** Name of the network namespace that is the launcher's host; without one, this machine's. */
  netns?: string
  /** Mounts that the launcher shall not see. */
  hidden?: string[]
  /** Where the data directory is made. */
  parent?: string
}

/** A data directory of its own with a launcher, whose sandboxes run `probe.c` as their agent on an empty image. */
export class World implements AsyncDisposable {
  readonly dataDir: string
  readonly program: LauncherProgram
  readonly launcher: Launcher
  #count = 0

  private constructor(dataDir: string, allowUid?: number) {
    this.dataDir = dataDir
    this.program = {
      program: join(build, 'launcher'),
      socket: join(dataDir, 'run/launcher.sock'),
      dataDir,
      imagesDir: join(dataDir, 'images'),
      agent: join(dataDir, 'probe'),
      crun: crun ?? '',
      seccomp: join(build, 'seccomp.bpf'),
      instance: `test_${process.pid}_${dataDir
        .slice(-6)
        .toLowerCase()
        .replace(/[^a-z0-9]/g, '_')}`,
    }
    if (allowUid !== undefined) this.program.allowUid = allowUid
    this.launcher = new Launcher(this.program)
  }

  static async make({ allowUid, netns, hidden = [], parent = tmpdir() }: WorldOptions = {}): Promise<World> {
    const world = new World(await mkdtemp(join(parent, 'caisson-launcher-')), allowUid)
    if (netns !== undefined)
      world.program.program = await programInside(netns, world.dataDir, world.program.program)
    if (hidden.length > 0)
      world.program.program = await programWithout(hidden, world.dataDir, world.program.program)
    await chown(world.dataDir, allowUid ?? 0, allowUid ?? 0)
    await mkdir(join(world.dataDir, 'run'), { mode: 0o700 })
    await chown(join(world.dataDir, 'run'), allowUid ?? 0, allowUid ?? 0)
    for (const name of MOUNT_POINTS)
      await mkdir(join(world.dataDir, world.lower, name), { recursive: true, mode: 0o755 })
    await chmod(join(world.dataDir, world.lower, 'tmp'), 0o1777)
    const source = resolve(import.meta.dirname, 'probe.c')
    await run('gcc', ['-static', '-std=c11', '-O1', '-o', world.program.agent, source])
    await world.launcher.open()
    return world
  }

  readonly lower = 'images/test/1/rootfs'

  plan(overrides: Partial<LaunchPlan> = {}): LaunchPlan {
    const id = `t_${this.#count++}`
    return {
      id,
      hostname: id.replace('_', '-'),
      idBase: 0x2000_0000 + this.#count * 65_536,
      root: { kind: 'overlay', lowers: [this.lower] },
      limits: { memoryBytes: 64 * 2 ** 20, cpuMillis: 1000, pids: 64 },
      ...overrides,
    }
  }

  async start(overrides: Partial<LaunchPlan> = {}): Promise<LaunchPlan> {
    const plan = this.plan(overrides)
    await this.launcher.makeSandboxDirs(plan.id)
    await this.launcher.start(plan)
    return plan
  }

  /** Starts a sandbox on its root of the pool, which is there. */
  async startOnPool(id: string, ...saves: string[]): Promise<void> {
    const lowers = [...saves.map((save) => `saves/${save}`), this.lower]
    await this.launcher.start(this.plan({ id, root: { kind: 'pool', lowers } }))
  }

  /** Kills the launcher; the next request starts another. */
  async killLauncher(): Promise<void> {
    const pid = await this.launcher.pid()
    process.kill(pid, 'SIGKILL')
    await until(() => !existsSync(`/proc/${pid}`))
  }

  /** Loop devices that stand for a file of this world. */
  async loops(): Promise<string[]> {
    const found: string[] = []
    for (const name of await readdir('/sys/block'))
      if (name.startsWith('loop')) {
        const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')
        if (file.startsWith(this.dataDir)) found.push(name)
      }
    return found
  }

  /** Runs one command of `probe.c` inside a sandbox. */
  async ask(id: string, command: string): Promise<string> {
    const socket = connect(join(this.dataDir, 'run', `${id}.sock`))
    socket.write(command)
    return await text(socket)
  }

  /** What sandboxes could leave on the host. */
  async traces(): Promise<Record<string, unknown>> {
    const names = async (dir: string) =>
      (await readdir(dir, { withFileTypes: true })).map((entry) => entry.name)
    const hierarchies = await this.launcher.hierarchies()
    const groups: string[] = []
    for (const { dir } of hierarchies.values())
      for (const entry of await readdir(dir, { withFileTypes: true }))
        if (entry.isDirectory()) groups.push(`${dir}/${entry.name}`)
    const launcher = await this.launcher.pid()
    return {
      groups,
      run: (await names(join(this.dataDir, 'run'))).filter((name) => !name.startsWith('launcher.')),
      mounts: await mountsOf('self'),
      mountsOfLauncher: await mountsOf(launcher),
      descriptorsOfLauncher: (await names(`/proc/${launcher}/fd`)).length,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { id } of await this.launcher.list()) await this.launcher.delete(id)
    await this.launcher.removeTree('trash')
    await this.launcher.shutdown()
    await this.launcher.close()
    await rm(this.dataDir, { recursive: true })
  }
}

/** How many mounts a process sees, but for the names of network namespaces, which other tests make meanwhile. */
async function mountsOf(pid: number | 'self'): Promise<number> {
  const lines = (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).split('\n')
  return lines.filter((line) => !line.includes('/netns')).length
}

/** A program that runs another in a network namespace. @returns its path, in `dir` */
export async function programInside(netns: string, dir: string, program: string): Promise<string> {
  const script = join(dir, 'launcher-inside')
  await writeFile(script, `#!/bin/sh\nexec nsenter --net=/run/netns/${netns} -- ${program} "$@"\n`, {
    mode: 0o755,
  })
  return script
}

/** A program that runs another in a mount namespace without these mounts. @returns its path, in `dir` */
async function programWithout(mounts: string[], dir: string, program: string): Promise<string> {
  const script = join(dir, 'launcher-without')
  const lines = ['#!/bin/sh -e', ...mounts.map((mount) => `umount ${mount}`), `exec ${program} "$@"`]
  await writeFile(script, `${lines.join('\n')}\n`, { mode: 0o755 })
  const outer = join(dir, 'launcher-outer')
  await writeFile(outer, `#!/bin/sh\nexec unshare --mount -- ${script} "$@"\n`, { mode: 0o755 })
  return outer
}

/** Waits for what has no event: until `probe` is true. */
export async function until(probe: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await probe())) await sleep(5)
}
