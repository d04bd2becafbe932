import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from '../context.ts'
import type { Account, UseCases } from '../use-cases.ts'
import { asUser, quick } from './access.ts'

const TABLE = '/etc/passwd'
/** As much of the table as is looked at; the agent itself reads no more. */
const MAX_TABLE = 1024 * 1024
const MAX_HOME = 1023
/** The largest number that is a user: the one above says "nobody in particular" to the kernel. */
const MAX_ID = 0xffff_fffe
const COLUMNS = 7

/** A user as the sandbox's own table names them, which the sandbox writes as it likes. */
export function findAccount(
  context: Context,
  ...[id, user]: Parameters<UseCases['findAccount']>
): ReturnType<UseCases['findAccount']> {
  const { user: spec = 'root' } = asUser(context, id, user)
  return quick(context, id, async (files, signal) => {
    try {
      const { data } = await files.read(TABLE, { length: MAX_TABLE }, signal)
      const pieces: Uint8Array[] = []
      for await (const piece of data) pieces.push(piece)
      return lookUp(Buffer.concat(pieces).toString('utf8'), spec)
    } catch (error) {
      if (SandboxError.is(error, 'file_not_found')) return lookUp('', spec)
      throw error
    }
  })
}

/** @param spec `name`, `uid` or either with `:gid`; a name wins over a number, and a bare number needs no entry. */
export function lookUp(table: string, spec: string): Account | null {
  const [name = '', group] = spec.split(':', 2)
  const number = idOf(name)
  const rows = table.split('\n').map((line) => line.split(':'))
  const row =
    rows.find((columns) => columns.length >= COLUMNS && columns[0] === name && name !== '') ??
    rows.find((columns) => columns.length >= COLUMNS && number !== null && idOf(columns[2]) === number)
  const uid = row === undefined ? number : idOf(row[2])
  const gid = idOf(group) ?? (row === undefined ? number : idOf(row[3]))
  if (uid === null || gid === null) return null
  const home = row?.[5] ?? '/'
  const isPath = home.startsWith('/') && Buffer.byteLength(home) <= MAX_HOME && !home.includes('\0')
  return { name: row?.[0] ?? name, uid, gid, home: isPath ? home : '/' }
}

function idOf(text: string | undefined): number | null {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return null
  const id = Number(text)
  return id <= MAX_ID ? id : null
}
