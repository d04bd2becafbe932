import { dirname, join, normalize } from 'node:path'

export interface Import {
  /** A path from the root for our own modules, else the name of a package or of Node's module. */
  target: string
  /** Gone when types are stripped. */
  typeOnly: boolean
}

/** Path from the root → what it imports. */
export type Graph = Map<string, Import[]>

const STATEMENT = /^\s*(import|export)\s+(type\s+)?(?:[\w*{][^'"`;]*?\s*from\s*)?['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

/** @param path of the importing module, from the root. */
export function importsOf(path: string, source: string): Import[] {
  const found = [...source.matchAll(STATEMENT)].map(([, , type, name]) => ({
    target: resolveName(path, name!),
    typeOnly: type !== undefined,
  }))
  // Loaded when used: not part of the start, and so of no cycle; the layers hold for them all the same.
  const dynamic = [...source.matchAll(DYNAMIC)].map(([, name]) => ({
    target: resolveName(path, name!),
    typeOnly: true,
  }))
  return [...found, ...dynamic]
}

function resolveName(from: string, name: string): string {
  if (name.startsWith('.')) return normalize(join(dirname(from), name))
  const own = /^(?:@caisson\/(protocol|server|cli)|(caisson))(?:\/(.+))?$/.exec(name)
  if (!own) return name
  const [, pack, sdk, inner] = own
  return `packages/${sdk ? 'sdk' : pack}/src/${inner ?? 'index'}.ts`
}

/** @returns the modules of one run-time cycle, the first repeated at the end; null when there is none. */
export function findCycle(graph: Graph): string[] | null {
  const done = new Set<string>()
  const visit = (path: string, above: string[]): string[] | null => {
    const at = above.indexOf(path)
    if (at >= 0) return [...above.slice(at), path]
    if (done.has(path)) return null
    for (const { target, typeOnly } of graph.get(path) ?? []) {
      const cycle = typeOnly ? null : visit(target, [...above, path])
      if (cycle) return cycle
    }
    done.add(path)
    return null
  }
  for (const path of graph.keys()) {
    const cycle = visit(path, [])
    if (cycle) return cycle
  }
  return null
}

/** @returns the shortest chain of run-time imports from a module to one that matches; null when there is none. */
export function findChain(graph: Graph, start: string, wanted: RegExp): string[] | null {
  const seen = new Set([start])
  const queue = [[start]]
  for (let chain = queue.shift(); chain; chain = queue.shift()) {
    for (const { target, typeOnly } of graph.get(chain.at(-1)!) ?? []) {
      if (typeOnly || seen.has(target)) continue
      if (wanted.test(target)) return [...chain, target]
      seen.add(target)
      queue.push([...chain, target])
    }
  }
  return null
}
