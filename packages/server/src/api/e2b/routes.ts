import { readdirSync } from 'node:fs'
import { healthRoutes } from './health.ts'
import { processRoutes } from './process.ts'
import type { Dialect, Route } from './route.ts'

// Only while this is being built: what is not there yet is left out.
const load = async (file: string, names: string[]): Promise<((dialect: Dialect) => Route[])[]> => {
  if (!readdirSync(import.meta.dirname).includes(file)) return []
  const found = await import(`./${file}`)
  return names.map((name) => found[name]).filter(Boolean)
}
const others = (
  await Promise.all([
    load('filesystem.ts', ['filesystemRoutes', 'fileRoutes']),
    load('files.ts', ['fileRoutes']),
    load('sandboxes.ts', ['sandboxRoutes', 'templateRoutes']),
    load('templates.ts', ['templateRoutes']),
    load('volumes.ts', ['volumeRoutes']),
  ])
).flat()

/** Everything that these clients can ask. */
export function routesOf(dialect: Dialect): Route[] {
  return [...new Set([healthRoutes, processRoutes, ...others])].flatMap((make) => make(dialect))
}
