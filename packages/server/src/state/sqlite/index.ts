import { close, fdatasync, openSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import type { Durability, Store } from '../store.ts'
import { SqliteBuilds } from './builds.ts'
import { SqliteCheckpoints } from './checkpoints.ts'
import { Connection } from './connection.ts'
import { SqliteDestinations } from './destinations.ts'
import { SqliteEvents } from './events.ts'
import { SqliteExecutions } from './executions.ts'
import { GroupSync } from './group-sync.ts'
import { SqliteKeys } from './keys.ts'
import { SqliteLayers } from './layers.ts'
import { openChecked } from './open.ts'
import { SqliteSandboxes } from './sandboxes.ts'
import { namedSaves } from './saves.ts'
import { SqliteSessions } from './sessions.ts'
import { SqliteSnapshots } from './snapshots.ts'
import { SqliteSshKeys } from './ssh-keys.ts'
import { SqliteTemplates } from './templates.ts'
import { SqliteUsage } from './usage.ts'
import { SqliteVolumes } from './volumes.ts'

/**
 * The store in `<dataDir>/caisson.db`. The caller holds the data directory's lock (lock.ts).
 * @throws SandboxError `host_not_ready` when the file is damaged, foreign or newer, or its disk fails
 */
export async function openSqliteStore(dataDir: string): Promise<Store> {
  const path = join(dataDir, 'caisson.db')
  const connection = new Connection(openChecked(path), path)
  // Of SQLite's files only this one may be opened beside it: closing another would drop SQLite's locks.
  const wal = openSync(`${path}-wal`, 'r')
  const group = new GroupSync(() =>
    promisify(fdatasync)(wal).catch((cause) => Promise.reject(diskFails(path, cause))),
  )
  const sync = async (durability: Durability) => {
    if (durability === 'power') await group.sync()
  }
  return {
    sandboxes: new SqliteSandboxes(connection, sync),
    executions: new SqliteExecutions(connection),
    events: new SqliteEvents(connection),
    usage: new SqliteUsage(connection),
    destinations: new SqliteDestinations(connection),
    keys: new SqliteKeys(connection, sync),
    sshKeys: new SqliteSshKeys(connection, sync),
    checkpoints: new SqliteCheckpoints(connection, sync),
    snapshots: new SqliteSnapshots(connection, sync),
    sessions: new SqliteSessions(connection, sync),
    layers: new SqliteLayers(connection),
    volumes: new SqliteVolumes(connection, sync),
    templates: new SqliteTemplates(connection, sync),
    builds: new SqliteBuilds(connection, sync),
    namedSaves: () => namedSaves(connection),
    close: async () => {
      try {
        await group.sync()
      } finally {
        await connection.close()
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
