import { SandboxError } from '@caisson/protocol/errors'

/** SQLite's primary result codes that an operator can do something about. */
const BUSY = 5
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26
/** Extended codes. */
const CONSTRAINT_PRIMARYKEY = 1555
const CONSTRAINT_UNIQUE = 2067

interface SqliteError extends Error {
  errcode: number
}

function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}

/** `table.column` of a violated uniqueness, else null. */
export function violated(error: unknown): string | null {
  if (!isSqliteError(error)) return null
  if (error.errcode !== CONSTRAINT_UNIQUE && error.errcode !== CONSTRAINT_PRIMARYKEY) return null
  return /UNIQUE constraint failed: (.+)$/.exec(error.message)?.[1] ?? ''
}

/** Runs a write. @throws SandboxError `conflict` when it violates a uniqueness */
export function refusing<T>(write: () => T): T {
  try {
    return write()
  } catch (error) {
    const column = violated(error)
    if (column === null) throw error
    throw new SandboxError('conflict', { what: column }, { cause: error })
  }
}

/** The same error, or `host_not_ready` when the database file or its disk is the reason. */
export function explain(error: unknown, path: string): unknown {
  if (!isSqliteError(error)) return error
  const row = rowOf(error.errcode & 0xff, path)
  return row === null ? error : new SandboxError('host_not_ready', row, { cause: error })
}

/** What is wrong with a database that cannot be trusted. The file is left as it is. */
export function corrupt(path: string, reason: string, cause?: unknown): SandboxError {
  return new SandboxError('host_not_ready', corruptRow(path, reason), { cause })
}

function corruptRow(path: string, reason: string): { what: string; fix: string } {
  return {
    what: `the database ${path} is damaged (${reason})`,
    fix: `Nothing was changed. Stop the server and restore the file from a backup; or move ${path}, ${path}-wal and ${path}-shm away to begin with an empty one, which forgets every sandbox and key.`,
  }
}

function rowOf(code: number, path: string): { what: string; fix: string } | null {
  switch (code) {
    case CORRUPT:
    case NOTADB:
      return corruptRow(path, code === NOTADB ? 'it is no SQLite database' : 'SQLite cannot read it')
    case FULL:
      return { what: `there is no space left for the database ${path}`, fix: 'Free space on its disk.' }
    case IOERR:
      return {
        what: `the disk of the database ${path} fails`,
        fix: 'Look at its space and at the kernel log.',
      }
    case READONLY:
    case CANTOPEN:
      return {
        what: `the database ${path} cannot be opened for writing`,
        fix: 'Give the user of the server the data directory and everything in it.',
      }
    case BUSY:
      return { what: `another program holds the database ${path}`, fix: 'End that program and try again.' }
    default:
      return null
  }
}
