import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SandboxError } from '@caisson/protocol/errors'

export interface DataLock extends Disposable {
  /** Gives the data directory to the next server. */
  release(): void
}

/**
 * Takes a data directory for this process alone: an exclusive transaction on `lock.db`, which nothing is ever
 * written to. The kernel ends it with the process, however that dies, so there are no stale locks. The pid in
 * `run/server.pid` is only for the message.
 * @throws SandboxError `host_not_ready` naming the server that has it
 */
export function lockDataDirectory(dataDir: string): DataLock {
  const pidFile = join(dataDir, 'run/server.pid')
  const lock = begin(join(dataDir, 'lock.db'), dataDir, pidFile)
  const release = () => {
    if (!lock.isOpen) return
    rmSync(pidFile, { force: true })
    lock.close()
  }
  try {
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  } catch (error) {
    release()
    throw error
  }
  return { release, [Symbol.dispose]: release }
}

function begin(path: string, dataDir: string, pidFile: string): DatabaseSync {
  let lock: DatabaseSync | undefined
  try {
    mkdirSync(dirname(pidFile), { recursive: true, mode: 0o700 })
    lock = new DatabaseSync(path, { timeout: 0 })
    lock.exec('begin exclusive')
    // On a file that it may not write SQLite takes a shared lock instead, and says nothing.
    accessSync(path, constants.W_OK)
    return lock
  } catch (cause) {
    lock?.close()
    throw refusal(cause, dataDir, path, pidFile)
  }
}

const BUSY = 5

function refusal(cause: unknown, dataDir: string, path: string, pidFile: string): SandboxError {
  const row =
    (cause as { errcode?: number }).errcode === BUSY
      ? {
          what: `the data directory ${dataDir} is in use by ${holder(pidFile)}`,
          fix: 'Stop it with "caisson server stop", or set CAISSON_DATA_DIR to another directory.',
        }
      : {
          what: `${path} cannot be locked (${(cause as Error).message})`,
          fix: 'Give the user of the server the data directory; lock.db holds nothing and may be removed while no server runs.',
        }
  return new SandboxError('host_not_ready', row, { cause })
}

function holder(pidFile: string): string {
  try {
    return `the server with pid ${readFileSync(pidFile, 'utf8').trim()}`
  } catch {
    return 'another server'
  }
}
