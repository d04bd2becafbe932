import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endProcesses, groupsOf, processesIn } from '../data-directory.ts'
import { cgroupMounts } from '../host.ts'
import type { TimedCommand } from '../timer.ts'
import type { Captured } from './configuration.ts'

const CPU_PERIOD_USEC = 100_000

type Step = Required<Pick<TimedCommand, 'makeDirs' | 'writeFiles' | 'joinTasks'>> & { cloneInto?: string }

/**
 * Cgroups with the limits of a sandbox, entered in the way that costs least: `tasks` on v1, a clone into the group on
 * v2. On hybrid hosts the peers leave the v2 tree out, which only makes them faster.
 */
export class PeerGroups implements Disposable {
  readonly #parents: { path: string; controllers: string[]; v2: boolean }[]
  readonly #limits: Captured['limits']

  constructor(dataDir: string, limits: Captured['limits']) {
    this.#limits = limits
    const mounts = cgroupMounts()
    const all = groupsOf(dataDir).map((path, i) => ({ ...mounts[i]!, path }))
    const needed = ({ controllers }: { controllers: string[] }) =>
      ['memory', 'cpu', 'pids'].some((name) => controllers.includes(name))
    this.#parents = all.filter(needed)
    for (const { path, v2 } of this.#parents) {
      mkdirSync(path)
      if (v2) writeFileSync(join(path, 'cgroup.subtree_control'), '+memory +cpu +pids')
    }
  }

  /** Making a group with its limits and entering it. */
  create(name: string): Step {
    const writeFiles: Record<string, string> = {}
    for (const { path, controllers, v2 } of this.#parents)
      for (const [controller, file, value] of this.#values(v2))
        if (controllers.includes(controller) && (v2 || existsSync(join(path, file))))
          writeFiles[join(path, name, file)] = value
    return { ...this.enter(name), makeDirs: this.#paths(name), writeFiles }
  }

  /** Entering a group that exists. */
  enter(name: string): Step {
    const v2 = this.#parents.find((parent) => parent.v2)
    const v1 = this.#parents.filter((parent) => !parent.v2)
    return {
      makeDirs: [],
      writeFiles: {},
      joinTasks: v1.map(({ path }) => join(path, name, 'tasks')),
      ...(v2 && { cloneInto: join(v2.path, name) }),
    }
  }

  /** Ends every process of a group. */
  kill(name: string): Promise<void> {
    return endProcesses(() => this.#paths(name).flatMap(processesIn), ['SIGKILL'])
  }

  remove(name: string): void {
    for (const path of this.#paths(name)) if (existsSync(path)) rmdirSync(path)
  }

  [Symbol.dispose](): void {
    for (const { path } of this.#parents) rmdirSync(path)
  }

  #paths(name: string): string[] {
    return this.#parents.map(({ path }) => join(path, name))
  }

  #values(v2: boolean): [controller: string, file: string, value: string][] {
    const { memoryBytes, cpuMillis, pids } = this.#limits
    const quota = cpuMillis * (CPU_PERIOD_USEC / 1000)
    return v2
      ? [
          ['pids', 'pids.max', `${pids}`],
          ['cpu', 'cpu.max', `${quota} ${CPU_PERIOD_USEC}`],
          ['memory', 'memory.max', `${memoryBytes}`],
          ['memory', 'memory.swap.max', '0'],
        ]
      : [
          ['pids', 'pids.max', `${pids}`],
          ['cpu', 'cpu.cfs_quota_us', `${quota}`],
          ['memory', 'memory.limit_in_bytes', `${memoryBytes}`],
          ['memory', 'memory.memsw.limit_in_bytes', `${memoryBytes}`],
        ]
  }
}
