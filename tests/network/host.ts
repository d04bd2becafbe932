import { readFileSync } from 'node:fs'
import { processesOf, type TestServer } from '../test-server.ts'
import type { World } from './world.ts'

/** What a test sees of a server's router: the process that keeps it, what is plugged into it, and what is left of it. */

const HOLDER = 'caisson-router'

const nameOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

/** The process that keeps the router's namespace; undefined when there is none. */
export function holderOf(server: TestServer): number | undefined {
  return processesOf(server.dataDir).find((pid) => nameOf(pid) === HOLDER)
}

/** The interfaces of sandboxes in the router. */
export async function plugged(world: World, server: TestServer): Promise<string[]> {
  const holder = holderOf(server)
  if (holder === undefined) return []
  const text = await world.host.exec('nsenter', `--target=${holder}`, '--net', '--', 'ip', '-o', 'link')
  return [...text.matchAll(/^\d+: (s\d+)@/gm)].map(([, name]) => name!)
}

/** Interfaces and tables of Caisson in the host's namespace of the world. */
export async function onHost(world: World): Promise<string[]> {
  const links = await world.host.exec('ip', '-o', 'link')
  const tables = await world.host.exec('nft', 'list', 'tables')
  return [...links.matchAll(/^\d+: (csn[^:@]*)/gm), ...tables.matchAll(/^table (inet caisson\S*)/gm)].map(
    ([, name]) => name!,
  )
}
