import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !/\.test(-kit)?\.ts$/.test(name))
  .map((name) => ({ name, text: readFileSync(join(import.meta.dirname, name), 'utf8') }))

/** What is loaded when a snapshot is built, or by those who import "caisson/build". */
const ofBuilds = (name: string): boolean => name.startsWith('build/') || name === 'build.ts'

test('at run time only these are imported: no schemas, which would weigh a hundred kilobytes in a page', () => {
  const page = files.filter(({ name }) => !ofBuilds(name))
  const imported = page.flatMap(({ text }) =>
    [...text.matchAll(/^(?:import|export) (?!type )(?:\{[^}]*\}|\w+|\* as \w+) from '([^.'][^']*)'/gm)].map(
      (match) => match[1],
    ),
  )
  expect([...new Set(imported)].filter((name) => !name?.startsWith('node:')).sort()).toEqual([
    '@caisson/protocol/errors',
    '@caisson/protocol/routes.gen',
    '@caisson/protocol/stream',
    'ws',
  ])
})

test('Node modules are imported only by files that are loaded when there is Node', () => {
  const users = files
    .filter(({ name, text }) => !ofBuilds(name) && /^import [^\n]* from '(node:[^']+|ws)'/m.test(text))
    .map(({ name }) => name)
  expect(users.sort()).toEqual(['local.ts', 'transport/node.ts', 'transport/ws.ts'])
  const loaders = files.filter(({ text }) =>
    /^(import|export) (?!type )[^\n]*'\.\/(.*\b(local|node|ws)|build\/.*)\.ts'/m.test(text),
  )
  expect(loaders.map(({ name }) => name).filter((name) => !ofBuilds(name))).toEqual([])
})

test('one file reads the environment', () => {
  const readers = files
    .filter(({ text }) => /\bprocess\.env\b|\benv\?\.\[/.test(text))
    .map(({ name }) => name)
  expect(readers).toEqual(['environment.ts'])
})
