import { closeSync, fsyncSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SandboxError } from '@caisson/protocol/errors'
import { openDatabase } from './connection.ts'
import { corrupt, explain } from './errors.ts'
import { APPLICATION_ID, MIGRATIONS } from './schema.ts'

/**
 * Opens the database at `path`, makes it when it is absent, and brings it to this server's version.
 * @throws SandboxError `host_not_ready` for a file that is damaged, foreign or newer; it is left as it was
 */
export function openChecked(path: string): DatabaseSync {
  const size = sizeOf(path)
  if (size !== null && size > 0) inspect(path)
  else if ((sizeOf(`${path}-wal`) ?? 0) > 0)
    throw corrupt(path, 'it is empty, but its write-ahead log is not')
  // Environments of sandboxes may hold secrets; SQLite gives its other files the same mode.
  if (size === null) closeSync(openSync(path, 'ax', 0o600))
  const database = openDatabase(path)
  try {
    migrate(database)
    syncDirectory(dirname(path))
    return database
  } catch (error) {
    database.close()
    throw explain(error, path)
  }
}

/** Looks at an existing file through a connection that can change neither it nor its write-ahead log. */
function inspect(path: string): void {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const problem = problemOf(database, path)
    if (problem !== null) throw problem
  } catch (error) {
    throw explain(error, path)
  } finally {
    database.close()
  }
}

function problemOf(database: DatabaseSync, path: string): SandboxError | null {
  const version = pragma(database, 'user_version')
  const empty = database.prepare('select 1 from sqlite_schema limit 1').get() === undefined
  if (!empty && pragma(database, 'application_id') !== APPLICATION_ID) {
    return new SandboxError('host_not_ready', {
      what: `${path} is a database of another program`,
      fix: 'Move it away, or use another data directory.',
    })
  }
  if (Number(version) > MIGRATIONS.length) {
    return new SandboxError('host_not_ready', {
      what: `the database ${path} was written by a newer version of Caisson (schema ${version}; this one knows ${MIGRATIONS.length})`,
      fix: 'Start that version again, or use another data directory.',
    })
  }
  const check = pragma(database, 'quick_check(1)')
  return check === 'ok' ? null : corrupt(path, String(check))
}

/** Each step is one transaction with its version number: a server that dies in between leaves none half done. */
function migrate(database: DatabaseSync): void {
  const version = Number(pragma(database, 'user_version'))
  for (const [index, step] of MIGRATIONS.entries()) {
    if (index < version) continue
    database.exec(
      `begin immediate; ${step}; pragma application_id = ${APPLICATION_ID}; pragma user_version = ${index + 1}; commit`,
    )
  }
}

function pragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]
}

/** Null: there is no such file. */
function sizeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null
}

/** Without this a power cut may take the names of new files, and with them what is in them. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
