import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { Kysely, type SqliteDatabase, SqliteDialect } from 'kysely'
import { explain } from './errors.ts'
import type { Schema } from './schema.ts'

/** Statements kept prepared; preparing one costs three times as much as running it. */
const MAX_STATEMENTS = 256

/** Milliseconds to wait for another program, such as a backup, that holds the database. They block the server. */
const BUSY_TIMEOUT_MS = 1000

/**
 * The one connection. A commit is in the WAL and so in the kernel's hands: it survives the end of the process.
 * `synchronous=NORMAL` leaves it to {@link GroupSync} to bring it to the disk where that is asked for.
 */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    database.exec('pragma journal_mode = wal; pragma synchronous = normal')
  } catch (error) {
    database.close()
    throw explain(error, path)
  }
  return database
}

/** Kysely over node:sqlite. It runs one query, or one transaction, at a time; `destroy` closes the database. */
export function openKysely(database: DatabaseSync, path: string): Kysely<Schema> {
  return new Kysely({ dialect: new SqliteDialect({ database: adapt(database, path) }) })
}

interface Prepared {
  statement: StatementSync
  /** Whether it gives rows. Asking costs as much as running a small statement. */
  reader: boolean
}

function prepare(database: DatabaseSync, sql: string): Prepared {
  const statement = database.prepare(sql)
  return { statement, reader: statement.columns().length > 0 }
}

function adapt(database: DatabaseSync, path: string): SqliteDatabase {
  const statements = new Map<string, Prepared>()
  const statementOf = (sql: string): Prepared => {
    const statement = statements.get(sql) ?? prepare(database, sql)
    // Kept in the order of use, so that the first is the one that was not used for longest.
    statements.delete(sql)
    statements.set(sql, statement)
    for (const oldest of statements.keys()) {
      if (statements.size <= MAX_STATEMENTS) break
      statements.delete(oldest)
    }
    return statement
  }
  const explained = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw explain(error, path)
    }
  }
  return {
    close: () => database.close(),
    prepare: (sql) => {
      // SQLite has already rolled back after some errors (a full disk); a second rollback would hide the first error.
      if (sql === 'rollback' && !database.isTransaction) return NOTHING
      const { statement, reader } = explained(() => statementOf(sql))
      return {
        reader,
        all: (values) => explained(() => statement.all(...(values as SQLInputValue[]))),
        run: (values) => explained(() => statement.run(...(values as SQLInputValue[]))),
        iterate: (values) => statement.iterate(...(values as SQLInputValue[])),
      }
    },
  }
}

const NOTHING = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
}
