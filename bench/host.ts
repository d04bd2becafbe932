import { execFile, execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { promisify } from 'node:util'

const MIB = 1024 * 1024
const run = promisify(execFile)

/** What was measured on; the load tells what else was going on. */
export function machineLine(): string {
  const model = cpus()[0]?.model ?? 'unknown CPU'
  const load = loadavg().map((value) => value.toFixed(1))
  return [
    `${availableParallelism()} × ${model}`,
    `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
    versionOf('crun'),
    `load ${load.join(' ')}`,
  ].join(' · ')
}

/** The first line of `<program> --version`. */
export function versionOf(program: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n', 1)[0] ?? program
  } catch {
    return `no ${program}`
  }
}

/** MiB by the name that /proc/meminfo gives. */
export function memoryInfo(): Record<'MemAvailable' | 'SUnreclaim' | 'SReclaimable', number> {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { MemAvailable: of('MemAvailable'), SUnreclaim: of('SUnreclaim'), SReclaimable: of('SReclaimable') }
}

/**
 * Begins a transfer as on a machine that has done nothing before: what others wrote is on disk, and free memory is in
 * this machine's hands. A virtual machine that gives free memory back to its host pays for every page anew (7 µs
 * instead of 1.5 were measured), so that a transfer that keeps what it moves would be measured by that.
 */
export async function settleMemory(): Promise<void> {
  const spare = Math.floor(Math.min(6 * 1024, memoryInfo().MemAvailable / 3))
  await run('sync', [])
  await run('dd', ['if=/dev/zero', 'of=/dev/null', `bs=${spare}M`, 'count=1', 'iflag=fullblock'])
}

/** Resident MiB of a process now, and the most since `resetPeak`. */
export function residentSize(pid: number): { now: number; peak: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { now: of('VmRSS'), peak: of('VmHWM') }
}

/** Mounts that this process sees; those of sandboxes are in namespaces of their own. */
export const countMounts = (): number =>
  readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n').length

/** CPU seconds that a process has used. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Mount points of every cgroup hierarchy. */
export function cgroupMounts(): { path: string; controllers: string[]; v2: boolean }[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => /^\S+ \S+ \S+ \S+ (\S+) .* - (cgroup2?) \S+ (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, path = '', type, options = '']) => ({
      path,
      v2: type === 'cgroup2',
      controllers: type === 'cgroup2' ? wordsOf(`${path}/cgroup.controllers`) : options.split(','),
    }))
}

function wordsOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split(' ').filter(Boolean)
  } catch {
    return []
  }
}

export function entries(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

export const toMiB = (bytes: number): number => bytes / MIB
