import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A process for good: its number may be used again, its number together with its start time is not. */
export interface ProcessId {
  pid: number
  /** Clock ticks since boot, as the kernel writes them. */
  startTime: string
  bootId: string
}

/** Who has this number now; null when nobody or only a dead process has. */
export function identify(pid: number): ProcessId | null {
  const stat = readProc(`${pid}/stat`)
  if (stat === null) return null
  // The name before the last ")" may hold anything; the state is field 3 and the start time field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, startTime] = [fields[0], fields[19]]
  if (state === 'Z' || state === 'X' || startTime === undefined) return null
  return { pid, startTime, bootId: bootId() }
}

export function isAlive(id: ProcessId): boolean {
  const now = identify(id.pid)
  return now !== null && now.startTime === id.startTime && now.bootId === id.bootId
}

/** Sends a signal to exactly this process; nothing when it is gone. */
export function send(id: ProcessId, signal: NodeJS.Signals): void {
  if (!isAlive(id)) return
  try {
    process.kill(id.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Waits until the process is gone. @returns whether it is. */
export async function waitGone(id: ProcessId, milliseconds: number): Promise<boolean> {
  const end = performance.now() + milliseconds
  for (let pause = 1; isAlive(id); pause = Math.min(pause * 2, 50)) {
    if (performance.now() > end) return false
    await delay(pause)
  }
  return true
}

/** Processes whose environment has this entry, or whose first argument it is. */
export function findMarked(file: 'environ' | 'cmdline', entry: string): ProcessId[] {
  const found: ProcessId[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name) || Number(name) === process.pid) continue
    const text = readProc(`${name}/${file}`)
    if (text === null) continue
    const marked = file === 'cmdline' ? text.startsWith(`${entry}\0`) : `\0${text}`.includes(`\0${entry}\0`)
    const id = marked ? identify(Number(name)) : null
    if (id !== null) found.push(id)
  }
  return found
}

/** A process may go, or belong to somebody else, at any time. */
function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, 'latin1')
  } catch {
    return null
  }
}

let boot: string | undefined

function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return boot
}
