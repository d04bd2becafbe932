import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'caisson'
import { cgroupDirectories, leftovers, until, untilNone } from '../crash/host.ts'
import { processesOf, type TestServer } from '../fixture.ts'
import { garbage } from '../saved/world.ts'

/** Everything that a server knows of and everything that is on its host: what only one of them has, and why it is wrong. */
export async function strangers(server: TestServer, client: Client): Promise<string[]> {
  const ids: string[] = []
  for (let offset = 0, total = 1; offset < total; offset += 100) {
    const page = await client.call('listSandboxes', { limit: 100, offset })
    ids.push(...page.sandboxes.map(({ id }) => id))
    total = page.total
  }
  const { sandboxes: roots } = await client.call('getDiskUsage')
  return [
    ...leftovers(server, ids),
    ...roots.filter(({ id }) => !ids.includes(id)).map(({ id }) => `root ${id}`),
    ...(await garbage(client)),
    ...loopsOf(server).slice(1),
  ]
}

/** Waits until nothing is on the host that the API does not tell of. */
export async function nothingIsOrphaned(server: TestServer, client: Client): Promise<void> {
  await untilNone('nothing is left behind', () => strangers(server, client))
}

/** Loop devices with a file of the data directory; one is the pool's. */
export function loopsOf({ dataDir }: TestServer): string[] {
  return readdirSync('/sys/block')
    .map((name) => [name, `/sys/block/${name}/loop/backing_file`] as const)
    .filter(([, path]) => existsSync(path) && readFileSync(path, 'utf8').startsWith(dataDir))
    .map(([name]) => `loop device ${name}`)
}

/** Ends everything of a data directory as a power cut would, except that what was written is on the disk. */
export async function powerCut(server: TestServer): Promise<void> {
  await server.kill9()
  await until('no process is left', async () => {
    for (const pid of processesOf(server.dataDir)) kill(pid)
    // On cgroup v1 what is frozen dies when it is thawed.
    for (const path of cgroupDirectories(server)) thaw(join(path, 'freezer.state'))
    await sleep(20)
    return processesOf(server.dataDir).length === 0
  })
  await untilNone('no loop device is left', () => loopsOf(server))
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

function thaw(path: string): void {
  try {
    if (existsSync(path)) writeFileSync(path, 'THAWED')
  } catch {
    // It has gone meanwhile.
  }
}
