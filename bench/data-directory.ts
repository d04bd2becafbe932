import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cgroupMounts, countMounts, entries } from './host.ts'

const END_MS = 15_000

/** The groups that the launcher makes for a data directory, one for each hierarchy. */
export function groupsOf(dataDir: string): string[] {
  const instance = createHash('sha256').update(dataDir).digest('hex').slice(0, 12)
  return cgroupMounts().map(({ path }) => join(path, `caisson-${instance}`))
}

/** What a sandbox could leave behind. */
export interface Footprint {
  mounts: number
  cgroups: number
  processes: number
  sockets: number
  roots: number
}

export function footprint(dataDir: string): Footprint {
  const groups = groupsOf(dataDir)
  const subgroups = groups.flatMap((group) => directories(group).map((name) => join(group, name)))
  return {
    mounts: countMounts(),
    cgroups: subgroups.length,
    processes: new Set(subgroups.flatMap(processesIn)).size + processesNaming(dataDir).length,
    sockets: entries(join(dataDir, 'run')).filter((name) => /^sbx_.*\.sock$/.test(name)).length,
    roots: entries(join(dataDir, 'sandboxes')).length + entries(join(dataDir, 'trash')).length,
  }
}

/** Ends whatever belongs to a data directory and removes it. Works after any crash, and a second time. */
export async function destroyDataDirectory(dataDir: string): Promise<void> {
  await endProcesses(() => processesNaming(dataDir))
  const groups = groupsOf(dataDir)
  const members = () =>
    groups.flatMap((group) => directories(group).flatMap((name) => processesIn(join(group, name))))
  await endProcesses(members, ['SIGKILL'])
  for (const group of groups) {
    for (const name of directories(group)) rmdirSync(join(group, name))
    if (existsSync(group)) rmdirSync(group)
  }
  await rm(dataDir, { recursive: true, force: true })
}

/** Signals what is found, until nothing is. */
export async function endProcesses(
  find: () => number[],
  signals: NodeJS.Signals[] = ['SIGTERM', 'SIGKILL'],
): Promise<void> {
  for (const signal of signals) {
    for (const pid of find()) kill(pid, signal)
    for (const end = Date.now() + END_MS; Date.now() < end; await sleep(20)) if (find().length === 0) return
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

function directories(path: string): string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
}

/** Members of a cgroup; none when it has gone. */
export function processesIn(group: string): number[] {
  try {
    return readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Processes of this pid namespace that name a directory in their command line or environment. */
export function processesNaming(directory: string): number[] {
  const own = readlinkSync('/proc/self/ns/pid')
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/ns/pid`) !== own) return false
        const files = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1'))
        return files.join('\0').includes(directory)
      } catch {
        // It has ended meanwhile.
        return false
      }
    })
}
