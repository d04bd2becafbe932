import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadSecret } from './secret.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-secret-'))
  path = join(dir, 'key')
})
afterEach(() => rmSync(dir, { recursive: true }))

test('a secret is made once, and only its owner reads it', () => {
  const umask = process.umask(0)
  try {
    expect(loadSecret(path, () => Buffer.from('first')).toString()).toBe('first')
  } finally {
    process.umask(umask)
  }
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(loadSecret(path, () => Buffer.from('second')).toString()).toBe('first')
  expect(readdirSync(dir)).toEqual(['key'])
})

test('processes that start together agree on one', async () => {
  const script = `
    import { randomBytes } from 'node:crypto'
    import { loadSecret } from ${JSON.stringify(join(import.meta.dirname, 'secret.ts'))}
    process.stdout.write(loadSecret(process.argv[1], () => randomBytes(32)).toString('hex'))`
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, path])
  const secrets = await Promise.all([run(), run(), run(), run()])
  const kept = readFileSync(path).toString('hex')
  expect(kept).toHaveLength(64)
  expect(secrets.map(({ stdout }) => stdout)).toEqual(Array(4).fill(kept))
  expect(readdirSync(dir)).toEqual(['key'])
})

test('what cannot be read or made is an error, and leaves nothing', () => {
  expect(() => loadSecret(dir, () => Buffer.from('x'))).toThrow('EISDIR')
  const failing = () => {
    throw new Error('no randomness')
  }
  expect(() => loadSecret(path, failing)).toThrow('no randomness')
  expect(() => loadSecret(join(dir, 'none', 'key'), () => Buffer.from('x'))).toThrow('ENOENT')
  expect(readdirSync(dir)).toEqual([])
})
