import { mkdtemp, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { degraded, type Finding, missing, ok, reason } from './check.ts'

/** What limits a sandbox. */
const CONTROLLERS = ['memory', 'cpu', 'pids'] as const

interface Hierarchy {
  version: 1 | 2
  path: string
  controllers: string[]
}

/** Which controllers there are, in which version, and whether groups can be made: tried by making one and removing it. */
export async function cgroups(mountinfo = '/proc/self/mountinfo'): Promise<Finding> {
  const hierarchies = await findHierarchies(await readFile(mountinfo, 'utf8'))
  const found = CONTROLLERS.map((name) => ({
    name,
    at: hierarchies.find((h) => h.controllers.includes(name)),
  }))
  const absent = found.filter(({ at }) => !at).map(({ name }) => name)
  const detail = found.flatMap(({ name, at }) => (at ? [`${name} v${at.version}`] : [])).join(', ')
  if (absent.length > 0) {
    const fix = 'Mount cgroup2 at /sys/fs/cgroup with these controllers, or boot with cgroup_enable=memory.'
    return missing(`no ${absent.join(', ')} controller${detail ? `; there is ${detail}` : ''}`, fix)
  }
  for (const path of new Set(found.map(({ at }) => at!.path))) {
    const refusal = await tryGroup(path)
    if (refusal === null) continue
    const fix = 'Run the launcher as root, or delegate a cgroup subtree to its user (systemd: Delegate=yes).'
    return degraded(`${detail}, but no group can be made in ${path}: ${refusal}`, fix)
  }
  return ok(detail)
}

async function tryGroup(path: string): Promise<string | null> {
  try {
    const group = await mkdtemp(join(path, 'caisson-doctor-'))
    await rmdir(group)
    return null
  } catch (error) {
    return reason(error)
  }
}

/** From lines of mountinfo: `… root mountpoint options … - type source superoptions`. */
export async function findHierarchies(mountinfo: string): Promise<Hierarchy[]> {
  const found: Hierarchy[] = []
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const path = before.split(' ')[4] ?? ''
    const [type, , options = ''] = after.split(' ')
    if (type === 'cgroup') found.push({ version: 1, path, controllers: options.split(',') })
    if (type !== 'cgroup2') continue
    const listed = await readFile(join(path, 'cgroup.controllers'), 'utf8').catch(() => '')
    found.push({ version: 2, path, controllers: listed.trim().split(' ') })
  }
  return found
}
