import { readFileSync } from 'node:fs'
import type { Hierarchy } from '../../launcher/client.ts'
import type { Usage } from '../driver.ts'

type Hierarchies = ReadonlyMap<string, Hierarchy>

/**
 * Reads a sandbox's counters from its cgroups, v1 or v2 by controller; null when it has none. The kernel makes these
 * files on the spot: reading them here takes microseconds, by the thread pool ten times as long.
 */
export async function readUsage(hierarchies: Hierarchies, id: string): Promise<Usage | null> {
  const read = (controller: string, v1: string, v2: string) =>
    readCounter(hierarchies.get(controller), id, v1, v2)
  const time = hierarchies.has('cpuacct') ? 'cpuacct' : 'cpu'
  return whileItIs(() => {
    const cpu = read(time, 'cpuacct.usage', 'cpu.stat')
    return {
      memoryBytes: Number(read('memory', 'memory.usage_in_bytes', 'memory.current')),
      cpuUsec: hierarchies.get(time)?.version === 2 ? row(cpu, 'usage_usec') : Math.round(Number(cpu) / 1000),
      pids: Number(read('pids', 'pids.current', 'pids.current')),
      oomKills: oomKillsOf(hierarchies, id),
    }
  })
}

/** Processes of a sandbox that the kernel killed for memory; 0 when it has no cgroup any more. */
export function readOomKills(hierarchies: Hierarchies, id: string): number {
  return whileItIs(() => oomKillsOf(hierarchies, id)) ?? 0
}

function oomKillsOf(hierarchies: Hierarchies, id: string): number {
  return row(readCounter(hierarchies.get('memory'), id, 'memory.oom_control', 'memory.events'), 'oom_kill')
}

function readCounter(hierarchy: Hierarchy | undefined, id: string, v1: string, v2: string): string {
  if (hierarchy === undefined) return ''
  return readFileSync(`${hierarchy.dir}/${id}/${hierarchy.version === 2 ? v2 : v1}`, 'utf8')
}

/** What is read, or null when the cgroup has gone. */
function whileItIs<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // ENODEV: the group was removed between open and read.
    if (code === 'ENOENT' || code === 'ENODEV') return null
    throw error
  }
}

/** The number behind `key` in a file of `key value` lines. */
export function row(text: string, key: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${key} `))
  return Number(line?.slice(key.length + 1) ?? 0)
}
