import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseBytes, parseCpu } from '../../core/quantity.ts'
import { Catalogue } from './catalogue.ts'
import { isDerived } from './recipe.ts'

const runtimesDir = join(import.meta.dirname, '../../../../../runtimes')
const catalogue = new Catalogue({ runtimesDir, imagesDir: join(runtimesDir, 'none') })
const entries = await catalogue.entries()

test('the catalogue has every promised runtime, none of them twice', () => {
  expect(entries.map(({ recipe }) => recipe.id).sort()).toEqual([
    'amp:latest',
    'base:latest',
    'bun:1',
    'claude-code:latest',
    'code-interpreter:v1',
    'e2b-base:latest',
    'node:latest',
    'node:lts',
    'opencode:latest',
    'python:3.13',
    'python:3.14',
  ])
})

test.each(entries)('$recipe.id says what it is, and how that is shown', ({ recipe }) => {
  for (const text of [recipe.name, recipe.description, recipe.icon]) expect(text).not.toBe('')
  expect(recipe.tags.length).toBeGreaterThan(0)
  const { memory, cpu, disk } = recipe.requirements
  expect(parseBytes(memory, 'memory')).toBeGreaterThan(0)
  expect(parseBytes(disk, 'disk')).toBeGreaterThan(0)
  expect(parseCpu(cpu, 'cpu')).toBeGreaterThan(0)
  // What is from npm is of no version that is written here: that it works is shown after each build.
  const isFetched = recipe.npm !== undefined || (!isDerived(recipe) && recipe.debian.unpack !== undefined)
  if (isFetched) expect(recipe.verify).not.toEqual([])
})

test('what is made from another runtime is made from one with a tree of its own', () => {
  const trees = entries.filter(({ recipe }) => !isDerived(recipe)).map(({ recipe }) => recipe.id)
  const derived = entries.flatMap(({ recipe }) => (isDerived(recipe) ? [recipe] : []))
  expect(derived.length).toBeGreaterThan(0)
  for (const { id, from } of derived) expect(trees, id).toContain(from)
})

test('every tree has what a sandbox is used by: a shell, files, ssh, transfers, sudo, TLS', () => {
  const needed = ['bash', 'ca-certificates', 'coreutils', 'curl', 'git', 'netbase', 'openssh-sftp-server']
  needed.push('passwd', 'procps', 'rsync', 'sudo', 'tzdata')
  for (const { recipe } of entries) {
    if (isDerived(recipe)) continue
    expect(recipe.debian.packages, recipe.id).toEqual(expect.arrayContaining(needed))
    expect(recipe.debian.packages, recipe.id).toEqual(recipe.debian.packages.toSorted())
    // Clients of E2B expect this name.
    const name = recipe.tags.includes('e2b') ? 'user' : 'agent'
    expect(recipe.user, recipe.id).toMatchObject({ name, home: `/home/${name}`, uid: 1000, sudo: true })
  }
})
