import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { instanceOf } from '../../packages/server/src/parts.ts'
import { DRIVER, processesOf, type TestServer } from '../test-server.ts'

/** What a test sees of the host: the processes, cgroups, files and mounts that sandboxes are made of. */

/** Why tests of real sandboxes cannot run here; null when they can. */
export const cannotRun =
  process.getuid?.() !== 0 ? 'it needs root' : DRIVER !== 'oci' ? `the driver is ${DRIVER}` : null
if (cannotRun) console.warn(`skipped: ${cannotRun}`)

/** Waits until `condition` gives something that is true; fails after a minute with what it gave last. */
export async function until<T>(what: string, condition: () => T | Promise<T>): Promise<NonNullable<T>> {
  let last: T | undefined
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
    last = await condition()
    if (last) return last as NonNullable<T>
  }
  throw new Error(`waited in vain: ${what}; last: ${JSON.stringify(last)}`)
}

/** Waits until a list of wrongs is empty. */
export async function untilNone(what: string, wrongs: () => string[] | Promise<string[]>): Promise<void> {
  let last: string[] = []
  await until(what, async () => {
    last = await wrongs()
    return last.length === 0
  }).catch((cause) => {
    throw new Error(`${what}: ${last.join(', ')}`, { cause })
  })
}

/** The directories, one a hierarchy, below which the sandboxes of a server have their cgroups. */
function cgroupParents(dataDir: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, path]) => join(path!, `caisson-${instanceOf(dataDir)}`))
    .filter((path) => existsSync(path))
}

/** Every cgroup of a server's sandboxes, in every hierarchy. */
export function cgroupDirectories({ dataDir }: TestServer): string[] {
  return cgroupParents(dataDir)
    .flatMap((path) => namesIn(path).map((name) => join(path, name)))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory())
}

/** A file of a sandbox's cgroup, by its name on cgroup v1 or v2; null when there is none. */
export function cgroupFile(server: TestServer, sandbox: string, ...names: string[]): string | null {
  for (const parent of cgroupParents(server.dataDir))
    for (const name of names) {
      const path = join(parent, sandbox, name)
      if (existsSync(path)) return readFileSync(path, 'utf8').trim()
    }
  return null
}

/** Pids, as the host numbers them, of every process in a sandbox. */
export function pidsOf(server: TestServer, sandbox: string): number[] {
  const text = cgroupFile(server, sandbox, 'cgroup.procs') ?? ''
  return text.split('\n').filter(Boolean).map(Number)
}

/** The pid of a sandbox's agent, which is pid 1 inside. */
export function agentPid(server: TestServer, sandbox: string): number {
  const found = pidsOf(server, sandbox).find((pid) => insidePid(pid) === '1')
  if (found === undefined) throw new Error(`sandbox ${sandbox} has no agent`)
  return found
}

function insidePid(pid: number): string | undefined {
  try {
    return /^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** The launcher itself, not one of its workers. */
export function launcherPid(server: TestServer): number {
  const all = processesOf(server.dataDir).filter((pid) => nameOf(pid) === 'launcher')
  const found = all.find((pid) => !all.includes(parentOf(pid)))
  if (found === undefined) throw new Error('the launcher does not run')
  return found
}

function nameOf(pid: number): string {
  return readOr(`/proc/${pid}/comm`).trim()
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s(\d+)$/m.exec(readOr(`/proc/${pid}/status`))?.[1] ?? 0)
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Everything on this host that belongs to a sandbox of the server that is not one of `known`. */
export function leftovers(server: TestServer, known: readonly string[]): string[] {
  const { dataDir } = server
  const strange = (path: string, names: string[]) =>
    names.filter((name) => !known.some((id) => name.startsWith(id))).map((name) => join(path, name))
  const inDirectory = (path: string) => strange(path, namesIn(path))
  return [
    ...strange(
      join(dataDir, 'run'),
      namesIn(join(dataDir, 'run')).filter((name) => name.startsWith('sbx_')),
    ),
    ...inDirectory(join(dataDir, 'sandboxes')),
    ...inDirectory(join(dataDir, 'trash')),
    ...cgroupParents(dataDir).flatMap((path) =>
      inDirectory(path).filter((entry) => statSync(entry, { throwIfNoEntry: false })?.isDirectory()),
    ),
    ...mountsOf(server).filter((line) => !known.some((id) => line.includes(id))),
  ]
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : []
}

/** Mounts of sandboxes that the host or the launcher sees: there should never be any. */
function mountsOf(server: TestServer): string[] {
  const launchers = processesOf(server.dataDir).filter((pid) => nameOf(pid) === 'launcher')
  return ['self', ...launchers]
    .flatMap((pid) => readOr(`/proc/${pid}/mountinfo`).split('\n'))
    .filter((line) => line.includes(`${server.dataDir}/sandboxes`) || line.includes('/sbx_'))
}

/** How many descriptors a process has open. */
export function descriptors(pid: number): number {
  return namesIn(`/proc/${pid}/fd`).length
}

/** Whether a process is there and runs what it ran when `program` was read. */
export function isAlive(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) !== '' && realpathSync(`/proc/${pid}`) !== ''
  } catch {
    return false
  }
}
