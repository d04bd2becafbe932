import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { planSnapshot } from './plan.ts'

/** A build directory with these files; `null`: a directory. */
function directory(files: Record<string, string>, name = 'My Project_1'): string {
  const parent = mkdtempSync(join(tmpdir(), 'caisson-plan-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(parent, name, path)), { recursive: true })
    writeFileSync(join(parent, name, path), text, { mode: 0o644 })
  }
  return join(parent, name)
}

const BUILD = 'version: 1\nruntime: base\nfiles: ["**"]\n'
const paths = async (root: string, options = {}) =>
  (await planSnapshot(root, options)).files.map(({ path }) => path)

test('a plan has what is chosen, in order, without the build file', async () => {
  const root = directory({ 'caisson-snapshot.yaml': BUILD, b: '22', 'a/c': '1', '.env': 'S=1', 'a-b': '' })
  const plan = await planSnapshot(root)
  expect(plan.files.map(({ path }) => path)).toEqual(['a-b', 'a/c', 'b'])
  expect(plan).toMatchObject({ name: 'my-project-1', bytes: 3, notes: [] })
  expect(plan.contentHash).toMatch(/^[0-9a-f]{64}$/)
})

test('the digest follows contents and permissions, and nothing else of a file', async () => {
  const root = directory({ 'caisson-snapshot.yaml': BUILD, a: '1' })
  const hash = async () => (await planSnapshot(root)).contentHash
  const first = await hash()
  writeFileSync(join(root, 'a'), '1')
  writeFileSync(join(root, 'caisson-snapshot.yaml'), `# a remark\n${BUILD}`)
  writeFileSync(join(root, '.env'), 'not chosen')
  expect(await hash()).toBe(first)
  chmodSync(join(root, 'a'), 0o755)
  const executable = await hash()
  expect(executable).not.toBe(first)
  writeFileSync(join(root, 'a'), '2')
  expect(await hash()).not.toBe(executable)
})

test('links are links, wherever they lead, and nothing behind one is taken', async () => {
  const outside = directory({ secret: 's' }, 'outside')
  const root = directory({ 'caisson-snapshot.yaml': BUILD, a: '1' })
  symlinkSync(outside, join(root, 'away'))
  symlinkSync('a', join(root, 'near'))
  symlinkSync('nowhere', join(root, 'broken'))
  const { files } = await planSnapshot(root)
  expect(files).toEqual([
    expect.objectContaining({ path: 'a', type: 'file' }),
    { path: 'away', type: 'link', target: outside },
    { path: 'broken', type: 'link', target: 'nowhere' },
    { path: 'near', type: 'link', target: 'a' },
  ])
  writeFileSync(
    join(root, 'caisson-snapshot.yaml'),
    'version: 1\nruntime: base\nfiles: ["away/**", "away/secret"]\n',
  )
  expect(await paths(root)).toEqual(['away'])
})

test('what is neither file nor link is told of and left out', async () => {
  const root = directory({ 'caisson-snapshot.yaml': BUILD, a: '1' })
  execFileSync('mkfifo', [join(root, 'pipe')])
  const plan = await planSnapshot(root)
  expect(plan.files.map(({ path }) => path)).toEqual(['a'])
  expect(plan.notes).toEqual(['"pipe" is left out: it is neither a file nor a link'])
})

test('patterns that choose nothing and values that nothing uses are told of', async () => {
  const files = 'files: ["*.x", "a", "!b"]'
  const root = directory({ 'caisson-snapshot.yaml': `version: 1\nruntime: base\n${files}\n`, a: '' })
  expect((await planSnapshot(root, { env: { V: '1' } })).notes).toEqual([
    '"*.x" chooses no file',
    'V was given and is used nowhere',
  ])
})

test('a file that is named and not there is a mistake', async () => {
  const files = 'files:\n  - "{a,nope}"\n  - missing.txt\n'
  const root = directory({ 'caisson-snapshot.yaml': `version: 1\nruntime: base\n${files}`, a: '' })
  await expect(planSnapshot(root)).rejects.toThrow(/:5: files\[1\] "missing.txt" is not in/)
})

test('what is said beside the file counts more than it', async () => {
  const more = 'name: in-file\ndescription: old\nmetadata: { a: "1", b: "2" }\n'
  const root = directory({ 'caisson-snapshot.yaml': BUILD + more })
  const { spec, name } = await planSnapshot(root, { name: 'given', description: 'new', metadata: { b: '3' } })
  expect(name).toBe('given')
  expect(spec).toMatchObject({ description: 'new', metadata: { a: '1', b: '3' } })
  expect((await planSnapshot(root)).name).toBe('in-file')
  await expect(planSnapshot(root, { name: 'Not One' })).rejects.toThrow(/"Not One" must be lower-case/)
})

test('the build file is found by its names, and chosen by --file', async () => {
  const root = directory({ 'caisson-snapshot.json': '{"version":1,"runtime":"base","name":"json"}' })
  expect((await planSnapshot(root)).name).toBe('json')
  writeFileSync(join(root, 'caisson-snapshot.yml'), BUILD)
  await expect(planSnapshot(root)).rejects.toThrow(/caisson-snapshot.yml and caisson-snapshot.json/)
  expect((await planSnapshot(root, { file: 'caisson-snapshot.json' })).name).toBe('json')
  renameSync(join(root, 'caisson-snapshot.json'), join(root, 'other.json'))
  rmSync(join(root, 'caisson-snapshot.yml'))
  await expect(planSnapshot(root)).rejects.toThrow(/has no caisson-snapshot.yaml.*snapshot generate/)
})

test('a plan ends with its signal', async () => {
  const root = directory({ 'caisson-snapshot.yaml': BUILD, a: '1' })
  await expect(planSnapshot(root, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i)
})
