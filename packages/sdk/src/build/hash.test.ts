import { expect, test } from 'vitest'
import type { BuildSpec } from './build-spec.ts'
import type { ChosenFile } from './files.ts'
import { contentHash } from './hash.ts'

const spec: BuildSpec = {
  runtime: 'base:latest',
  name: 'a',
  description: undefined,
  dependencies: ['curl', 'git'],
  packages: [],
  files: ['**'],
  env: { A: '1', B: '2' },
  metadata: {},
}
const file: ChosenFile = { path: 'a', type: 'file', mode: 0o644, size: 1, mtimeMs: 1, sha256: 'aa' }
const link: ChosenFile = { path: 'b', type: 'link', target: 'a' }
const first = contentHash(spec, [file, link])

test('is the same for the same content, however it is written', () => {
  expect(first).toMatch(/^[0-9a-f]{64}$/)
  const again = { ...spec, env: { B: '2', A: '1' }, dependencies: ['git', 'curl', 'git'] }
  expect(contentHash(again, [link, file])).toBe(first)
  expect(contentHash({ ...spec, name: 'b', files: ['a', 'b'] }, [{ ...file, mtimeMs: 2 }, link])).toBe(first)
})

test.each<[string, Partial<BuildSpec>, ChosenFile[]]>([
  ['the runtime', { runtime: 'base' }, [file, link]],
  ['the description', { description: '' }, [file, link]],
  ['a dependency', { dependencies: ['curl'] }, [file, link]],
  ['a dependency that is a package', { dependencies: ['curl'], packages: ['git'] }, [file, link]],
  ['a value', { env: { A: '1', B: '3' } }, [file, link]],
  ['values that meet at another place', { env: { A: '1', B2: '' } }, [file, link]],
  ['a variable that is data', { env: { A: '1' }, metadata: { B: '2' } }, [file, link]],
  ['a file less', {}, [file]],
  ['a path', {}, [{ ...file, path: 'c' }, link]],
  ['permissions', {}, [{ ...file, mode: 0o755 }, link]],
  ['contents', {}, [{ ...file, sha256: 'ab' }, link]],
  ['where a link leads', {}, [file, { ...link, target: 'c' }]],
  ['a link in place of a file', {}, [{ path: 'a', type: 'link', target: 'aa' }, link]],
])('is another with another: %s', (_, change, files) =>
  expect(contentHash({ ...spec, ...change }, files)).not.toBe(first),
)
