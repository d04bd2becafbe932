import { close, fdatasync, openSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import type { Durability, Store } from '../store.ts'
import { openKysely } from './connection.ts'
import { SqliteExecutions } from './executions.ts'
import { GroupSync } from './group-sync.ts'
import { SqliteKeys } from './keys.ts'
import { openChecked } from './open.ts'
import { SqliteSandboxes } from './sandboxes.ts'

/**
 * The store in `<dataDir>/caisson.db`. The caller holds the data directory's lock (lock.ts).
 * @throws SandboxError `host_not_ready` when the file is damaged, foreign or newer, or its disk fails
 */
export async function openSqliteStore(dataDir: string): Promise<Store> {
  const path = join(dataDir, 'caisson.db')
  const database = openChecked(path)
  const db = openKysely(database, path)
  // Of SQLite's files only this one may be opened beside it: closing another would drop SQLite's locks.
  const wal = openSync(`${path}-wal`, 'r')
  const group = new GroupSync(() =>
    promisify(fdatasync)(wal).catch((cause) => Promise.reject(diskFails(path, cause))),
  )
  const sync = async (durability: Durability) => {
    if (durability === 'power') await group.sync()
  }
  return {
    sandboxes: new SqliteSandboxes(db, sync),
    executions: new SqliteExecutions(db),
    keys: new SqliteKeys(db, sync),
    close: async () => {
      try {
        await group.sync()
      } finally {
        await db.destroy()
        // Kysely closes only what it has used.
        if (database.isOpen) database.close()
        await promisify(close)(wal)
      }
    },
  }
}

function diskFails(path: string, cause: unknown): SandboxError {
  return new SandboxError(
    'host_not_ready',
    {
      what: `the disk of the database ${path} fails`,
      fix: 'Look at its space and at the kernel log, then restart the server.',
    },
    { cause },
  )
}
