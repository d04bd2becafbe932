import { describe, expect, test } from 'vitest'
import { checkGraph } from '../../scripts/layers/check.ts'
import { type Import, importsOf } from '../../scripts/layers/imports.ts'
import { LAYERS } from '../../scripts/layers/table.ts'

const SERVER = 'packages/server/src'

/** A graph of run-time imports; `type:` before a target makes it one of types. */
function graph(rows: Record<string, string[]>): Map<string, Import[]> {
  const toImport = (name: string): Import => ({
    target: name.replace(/^type:/, ''),
    typeOnly: name.startsWith('type:'),
  })
  return new Map(Object.entries(rows).map(([path, names]) => [path, names.map(toImport)]))
}

describe('imports', () => {
  test.each([
    ["import type { A } from './a.ts'", `${SERVER}/core/a.ts`, true],
    ["import { type A, b } from '../storage/b.ts'", `${SERVER}/storage/b.ts`, false],
    ["import {\n  a,\n  b,\n} from './a.ts'", `${SERVER}/core/a.ts`, false],
    ["import def, { other } from 'pkg'", 'pkg', false],
    ["import * as all from 'node:fs'", 'node:fs', false],
    ["import './effects.ts'", `${SERVER}/core/effects.ts`, false],
    ["export * from './a.ts'", `${SERVER}/core/a.ts`, false],
    ["export type { A } from './a.ts'", `${SERVER}/core/a.ts`, true],
    ["import { E } from '@caisson/protocol/errors'", 'packages/protocol/src/errors.ts', false],
    ["import { E } from '@caisson/protocol'", 'packages/protocol/src/index.ts', false],
    ["import { Sandbox } from 'caisson'", 'packages/sdk/src/index.ts', false],
    ["const m = await import('./late.ts')", `${SERVER}/core/late.ts`, true],
  ])('%s', (source, target, typeOnly) => {
    expect(importsOf(`${SERVER}/core/x.ts`, source)).toEqual([{ target, typeOnly }])
  })

  test('what is no import is not taken for one', () => {
    const source =
      "export const a = 'x'\nconst from = 'y'\n// import { a } from './b.ts'\nexport function f() {}\n"
    expect(importsOf(`${SERVER}/core/x.ts`, source)).toEqual([])
  })
})

describe('the table', () => {
  test('names only layers that it has', () => {
    for (const seen of Object.values(LAYERS).flat()) expect(Object.keys(LAYERS)).toContain(seen)
  })

  test.each([
    ['core', 'runtime', 'core does not see server/runtime'],
    ['storage', 'runtime', 'server/storage does not see server/runtime'],
    ['api', 'state', 'add a use case'],
    ['sandboxes', 'api', 'server/sandboxes does not see server/api'],
    ['newcomer', 'core', 'not in the table'],
  ])('%s importing %s is named, types too', (from, to, message) => {
    const breach = graph({ [`${SERVER}/${from}/a.ts`]: [`type:${SERVER}/${to}/b.ts`] })
    expect(checkGraph(breach).join('\n')).toContain(message)
  })

  test.each([
    ['sandboxes', 'storage'],
    ['runtime', 'core'],
    ['runtime', 'launcher'],
    ['doctor', 'storage'],
  ])('%s may import %s', (from, to) => {
    expect(checkGraph(graph({ [`${SERVER}/${from}/a.ts`]: [`${SERVER}/${to}/b.ts`] }))).toEqual([])
  })

  test('nothing imports main, and the SDK sees only protocol', () => {
    expect(checkGraph(graph({ [`${SERVER}/api/a.ts`]: [`${SERVER}/main.ts`] }))).toHaveLength(1)
    expect(checkGraph(graph({ 'packages/sdk/src/a.ts': [`${SERVER}/core/a.ts`] }))).toHaveLength(1)
  })
})

test('a cycle at run time is shown; one of types is none', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => `${SERVER}/core/${name}.ts`) as [string, string, string]
  expect(checkGraph(graph({ [a]: [b], [b]: [c], [c]: [b] })).join()).toContain(`${b} → ${c} → ${b}`)
  expect(checkGraph(graph({ [a]: [b], [b]: [`type:${a}`], [c]: [a, b] }))).toEqual([])
})

test('what a layer must not reach is found through others, with the chain', () => {
  const sdk = 'packages/sdk/src/index.ts'
  const protocol = 'packages/protocol/src/resources.ts'
  expect(checkGraph(graph({ [sdk]: [protocol], [protocol]: ['zod'] })).join()).toContain(`${protocol} → zod`)
  expect(checkGraph(graph({ [sdk]: [`type:${protocol}`], [protocol]: ['zod'] }))).toEqual([])
})
