import { SandboxError } from '@caisson/protocol/errors'
import { expect, test } from 'vitest'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { findSource, getSource, parseNamed } from './names.ts'

const TEMPLATES = new Map([
  ['app', ['default', 'latest', 'v1']],
  ['ours', ['latest']],
  ['waiting', []],
])
const SNAPSHOTS = ['snp_abc', 'saved:latest', 'saved:v1', 'app:v9']
const RUNTIMES = ['python:3.13', 'e2b-base:latest', 'base:latest']

/** What looks like use cases, as far as names are concerned. */
const useCases = {
  getTemplate: async (name: string) => {
    const tags = TEMPLATES.get(name)?.map((tag) => ({ tag }))
    if (tags === undefined) throw new SandboxError('template_not_found', { template: name })
    return { id: `tpl_${name}`, name, tags }
  },
  getSnapshot: async (reference: string) => {
    if (!SNAPSHOTS.includes(reference)) throw new SandboxError('snapshot_not_found', { snapshot: reference })
    return { id: reference.startsWith('snp_') ? reference : `snp_of ${reference}` }
  },
  getRuntime: async (name: string) => {
    if (!RUNTIMES.includes(name))
      throw new SandboxError('runtime_not_found', { runtime: name, available: [] })
    return { name }
  },
} as unknown as UseCases

test.each([
  ['base', { runtime: 'e2b-base:latest' }],
  ['base:default', { runtime: 'e2b-base:latest' }],
  ['base:latest', { runtime: 'e2b-base:latest' }],
  ['base:v1', null],
  ['code-interpreter-v1', { runtime: 'code-interpreter:v1' }],
  ['app', { template: 'app:default' }],
  ['app:v1', { template: 'app:v1' }],
  ['ours', { template: 'ours:latest' }],
  ['app:v9', null],
  ['waiting', null],
  ['snp_abc', { snapshot: 'snp_abc' }],
  ['snp_abc:default', { snapshot: 'snp_abc' }],
  ['snp_abc:v1', null],
  ['saved', { snapshot: 'snp_of saved:latest' }],
  ['saved:default', { snapshot: 'snp_of saved:latest' }],
  ['saved:v1', { snapshot: 'snp_of saved:v1' }],
  ['python:3.13', { runtime: 'python:3.13' }],
  ['python:3.12', null],
  ['team/app', null],
  ['toString', null],
  ['', null],
])('%j means %j', async (text, source) => {
  expect(await findSource(useCases, text)).toEqual(source)
})

test('an unknown name is told with what may be wrong with it', async () => {
  await expect(getSource(useCases, 'absent')).rejects.toMatchObject({ status: 404 })
  await expect(getSource(useCases, 'team/app')).rejects.toThrow('namespaces')
})

test('a failure to look is no absence', async () => {
  const broken = { ...useCases, getTemplate: async () => Promise.reject(new Error('the disk is gone')) }
  await expect(findSource(broken as unknown as UseCases, 'app')).rejects.toThrow('the disk is gone')
})

test.each(['a:b:c', 'a b', '../a', 'a:', ':a', '-a', 'a'.repeat(129)])('%j is no name', (text) => {
  expect(parseNamed(text)).toBeNull()
})
