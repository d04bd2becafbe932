import { chmodSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { newId } from '../core/ids.ts'

/** Reads a secret file, or makes it once: two servers that start together agree on one, and none is ever half written. */
export function loadSecret(path: string, make: () => Buffer): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const temporary = `${path}.${newId('tmp')}`
  writeFileSync(temporary, make(), { mode: 0o600, flush: true })
  chmodSync(temporary, 0o600)
  try {
    linkSync(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(temporary, { force: true })
  }
  return readFileSync(path)
}
