import { findChain, findCycle, type Graph } from './imports.ts'
import { advice, LAYERS, layerOf, UNREACHABLE } from './table.ts'

/** @returns a sentence for each breach: what, where, and what to do. */
export function checkGraph(graph: Graph): string[] {
  return [...layerBreaches(graph), ...chains(graph), ...cycles(graph)]
}

function* layerBreaches(graph: Graph): Generator<string> {
  for (const [path, imports] of graph) {
    const from = layerOf(path)
    if (from === null) continue
    const seen = LAYERS[from]
    if (!seen) {
      yield `${path}: "${from}" is not in the table. Add it to scripts/layers/table.ts, with what it may see.`
      continue
    }
    for (const { target } of imports) {
      const to = layerOf(target)
      if (to === null || to === from || seen.includes(to)) continue
      yield `${path}: ${from} does not see ${to} (${target}); ${advice(from, to)}.`
    }
  }
}

function* chains(graph: Graph): Generator<string> {
  for (const { layer, module, because } of UNREACHABLE) {
    for (const path of graph.keys()) {
      if (layerOf(path) !== layer) continue
      const chain = findChain(graph, path, module)
      if (chain)
        yield `${chain.join(' → ')}: not allowed, because ${because}. Import the type only, or move the code.`
    }
  }
}

function* cycles(graph: Graph): Generator<string> {
  const cycle = findCycle(graph)
  if (cycle) {
    yield `${cycle.join(' → ')}: a cycle of imports. Make one of them "import type", or move what both need below.`
  }
}
