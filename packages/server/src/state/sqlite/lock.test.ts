import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockDataDirectory } from './lock.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-lock-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

test('a second server on one data directory is refused, and told the pid of the first', () => {
  const lock = lockDataDirectory(dir)
  expect(() => lockDataDirectory(dir)).toThrow(`in use by the server with pid ${process.pid}`)
  lock.release()
  lock.release()
  expect(existsSync(join(dir, 'run/server.pid'))).toBe(false)
  using again = lockDataDirectory(dir)
  expect(again).toBeDefined()
})

test('another process holds the lock until it dies, however it dies', async () => {
  const module = join(import.meta.dirname, 'lock.ts')
  const script = `import { lockDataDirectory } from ${JSON.stringify(module)}
    globalThis.lock = lockDataDirectory(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  try {
    await once(child.stdout, 'data')
    expect(() => lockDataDirectory(dir)).toThrow(`in use by the server with pid ${child.pid}`)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
  lockDataDirectory(dir).release()
})

test('a lock file that is no lock file is told', () => {
  writeFileSync(join(dir, 'lock.db'), 'x'.repeat(2000))
  expect(() => lockDataDirectory(dir)).toThrow(/lock\.db cannot be locked/)
})

test('a data directory that cannot be made is told', () => {
  writeFileSync(join(dir, 'file'), '')
  expect(() => lockDataDirectory(join(dir, 'file'))).toThrow(/cannot be locked \(ENOTDIR.*Give the user/)
})
