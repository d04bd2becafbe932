import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  type Compilable,
  type Insertable,
  Kysely,
  type SqliteDatabase,
  SqliteDialect,
  type Updateable,
} from 'kysely'
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

interface Prepared {
  statement: StatementSync
  /** Whether it gives rows. Asking costs as much as running a small statement. */
  reader: boolean
}

/**
 * The database and the two ways to it: `db` (Kysely) for everything that is one statement, and `run`, `rows` and
 * `transact` for transactions and for the few statements that every execution pays for. Those run at once, so that
 * nothing of others comes in between; Kysely's own transactions wait between their statements, and are not used.
 */
export class Connection {
  readonly db: Kysely<Schema>
  readonly #database: DatabaseSync
  readonly #path: string
  readonly #statements = new Map<string, Prepared>()

  constructor(database: DatabaseSync, path: string) {
    this.#database = database
    this.#path = path
    this.db = new Kysely({ dialect: new SqliteDialect({ database: this.#forKysely() }) })
  }

  /** @returns the number of rows that changed. */
  run(sql: string, values: SQLInputValue[]): number {
    return this.#explained(() => Number(this.#prepared(sql).statement.run(...values).changes))
  }

  rows<T>(query: Compilable<T>): T[] {
    const { sql, parameters } = query.compile()
    return this.#explained(() => this.#prepared(sql).statement.all(...(parameters as SQLInputValue[]))) as T[]
  }

  /** Adds one row; the names of the row's fields are those of the columns. */
  insert<T extends keyof Schema>(table: T, row: Insertable<Schema[T]>): void {
    const columns = Object.keys(row)
    const sql = `insert into ${table} (${columns.map(quoted).join(', ')}) values (${columns.map(() => '?').join(', ')})`
    this.run(sql, Object.values(row) as SQLInputValue[])
  }

  /** Changes the row with this id. @returns whether there is one. */
  update<T extends keyof Schema>(table: T, id: string, change: Updateable<Schema[T]>): boolean {
    const fields = Object.entries(change).filter(([, value]) => value !== undefined)
    const set = fields.map(([column]) => `${quoted(column)} = ?`)
    const sql = `update ${table} set ${set.join(', ') || 'id = id'} where id = ?`
    return this.run(sql, [...fields.map(([, value]) => value as SQLInputValue), id]) > 0
  }

  /** Everything that `work` writes, or, when it throws, nothing of it. */
  transact<T>(work: () => T): T {
    this.run('begin immediate', [])
    try {
      const result = work()
      this.run('commit', [])
      return result
    } catch (error) {
      // SQLite has already rolled back after some errors, such as a full disk.
      if (this.#database.isTransaction) this.run('rollback', [])
      throw error
    }
  }

  async close(): Promise<void> {
    await this.db.destroy()
    // Kysely closes only what it has used.
    if (this.#database.isOpen) this.#database.close()
  }

  #prepared(sql: string): Prepared {
    const statement = this.#statements.get(sql) ?? prepare(this.#database, sql)
    // Kept in the order of use, so that the first is the one that was not used for longest.
    this.#statements.delete(sql)
    this.#statements.set(sql, statement)
    for (const oldest of this.#statements.keys()) {
      if (this.#statements.size <= MAX_STATEMENTS) break
      this.#statements.delete(oldest)
    }
    return statement
  }

  #explained<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw explain(error, this.#path)
    }
  }

  #forKysely(): SqliteDatabase {
    return {
      close: () => this.#database.close(),
      prepare: (sql) => {
        const { statement, reader } = this.#explained(() => this.#prepared(sql))
        return {
          reader,
          all: (values) => this.#explained(() => statement.all(...(values as SQLInputValue[]))),
          run: (values) => this.#explained(() => statement.run(...(values as SQLInputValue[]))),
          iterate: (values) => statement.iterate(...(values as SQLInputValue[])),
        }
      },
    }
  }
}

/** Some are words of SQL. */
function quoted(column: string): string {
  return `"${column}"`
}

function prepare(database: DatabaseSync, sql: string): Prepared {
  const statement = database.prepare(sql)
  return { statement, reader: statement.columns().length > 0 }
}
