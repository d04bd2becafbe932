import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { until, type World } from './fixture.ts'

const run = promisify(execFile)

export const MIB = 2 ** 20
export const GIB = 2 ** 30
export const refused = (errno: number) => expect.objectContaining({ name: 'LauncherError', errno })

/** Makes a root of the pool: empty, or a copy of a save. */
export function makeRoot(
  world: World,
  id: string,
  from: string | null = null,
  diskBytes: number | null = null,
): Promise<void> {
  return world.launcher.pool.makeRoot(id, { from, diskBytes })
}

/** Deletes sandboxes with their roots. */
export async function endRoots(world: World, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await world.launcher.delete(id)
    await world.launcher.pool.removeRoot(id)
  }
}

/** Runs a program where the pool is mounted: in the launcher's mount namespace. */
export async function inside(world: World, ...command: string[]): Promise<string> {
  const pid = await world.launcher.pid()
  const { stdout } = await run('nsenter', [`--mount=/proc/${pid}/ns/mnt`, '--', ...command])
  return stdout
}

/** Kills the launcher and what it has forked. */
export async function killAll(world: World): Promise<void> {
  const pid = await world.launcher.pid()
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const one of [pid, ...children.split(' ').filter(Boolean).map(Number)])
    try {
      process.kill(one, 'SIGKILL')
    } catch {
      // It has just ended.
    }
  await until(() => !existsSync(`/proc/${pid}`))
}
