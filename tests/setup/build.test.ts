import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const node = join(root, 'node_modules/.bin/node')
let dir: string

beforeAll(() => {
  execFileSync(node, [join(root, 'scripts/build.ts')], { stdio: 'pipe' })
  dir = mkdtempSync(join(tmpdir(), 'caisson-build-'))
  const modules = join(dir, 'node_modules')
  mkdirSync(join(modules, '@caisson'), { recursive: true })
  cpSync(join(root, 'packages/sdk/dist'), join(modules, 'caisson'), { recursive: true })
  cpSync(join(root, 'packages/protocol/dist'), join(modules, '@caisson/protocol'), { recursive: true })
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
}, 120_000)
afterAll(() => rmSync(dir, { recursive: true }))

test('the published SDK is JavaScript that loads without zod, ws or type stripping', () => {
  const source = `import * as sdk from 'caisson'; console.log(typeof sdk.Sandbox.create, typeof sdk.getSandbox)`
  const args = ['--no-strip-types', '--input-type=module', '--eval', source]
  expect(execFileSync(node, args, { cwd: dir, encoding: 'utf8' })).toBe('function function\n')
})

test('the published types tell a right program from a wrong one', () => {
  cpSync(join(root, 'node_modules/zod'), join(dir, 'node_modules/zod'), { recursive: true })
  const program = (type: string) =>
    `import { Sandbox } from 'caisson'\nexport const out: ${type} = (await (await Sandbox.create()).exec(['true'])).stdout\n`
  writeFileSync(join(dir, 'right.ts'), program('string'))
  writeFileSync(join(dir, 'wrong.ts'), program('number'))
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'esnext,dom']
  const check = (file: string) =>
    spawnSync(join(root, 'node_modules/.bin/tsc'), [...flags, file], { cwd: dir, encoding: 'utf8' }).stdout
  expect(check('right.ts')).toBe('')
  expect(check('wrong.ts')).toContain("not assignable to type 'number'")
})
