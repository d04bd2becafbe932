import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { anEvent, anExecution, aSandbox } from '../fixtures.ts'
import { openSqliteStore } from './index.ts'
import { APPLICATION_ID, executionCodec, MIGRATIONS, sandboxCodec } from './schema.ts'

let dir: string
let path: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-open-'))
  path = join(dir, 'caisson.db')
})
afterEach(() => rmSync(dir, { recursive: true }))

test('an absent and an empty file become a database that only its owner reads', async () => {
  for (const prepare of [() => {}, () => writeFileSync(path, '', { mode: 0o600 })]) {
    prepare()
    await (await openSqliteStore(dir)).close()
    const database = new DatabaseSync(path, { readOnly: true })
    expect(database.prepare('pragma user_version').get()).toEqual({ user_version: MIGRATIONS.length })
    expect(database.prepare('pragma application_id').get()).toEqual({ application_id: APPLICATION_ID })
    expect(database.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' })
    database.close()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    rmSync(path)
  }
})

test('a second open finds what the first wrote', async () => {
  const box = aSandbox()
  const first = await openSqliteStore(dir)
  await first.sandboxes.insert(box)
  await first.close()
  const second = await openSqliteStore(dir)
  expect(await second.sandboxes.get(box.id)).toEqual(box)
  await second.close()
})

test('a database of the first version keeps what it has, and gets what is new', async () => {
  const box = aSandbox()
  const old = anExecution(box.id, { argv: ['make', 'all'], state: 'ended', exitCode: 2 })
  alter((database) => {
    database.exec(`${MIGRATIONS[0]}; pragma application_id = ${APPLICATION_ID}; pragma user_version = 1`)
    put(database, 'sandboxes', sandboxCodec.encode(box))
    put(database, 'executions', executionCodec.encode(old))
  })
  const store = await openSqliteStore(dir)
  expect(await store.sandboxes.get(box.id)).toEqual(box)
  expect(await store.executions.get(old.id)).toEqual(old)
  await store.executions.update(old.id, {}, { events: [anEvent(box.id)] })
  await store.close()
})

test('names and uid ranges of the third version stay taken, and are taken by what is paused, too', async () => {
  const box = aSandbox({ name: 'web', idBase: 131_072, state: 'stopping' })
  alter((database) => {
    database.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = 3`)
    for (const step of MIGRATIONS.slice(0, 3)) database.exec(step)
    put(database, 'sandboxes', sandboxCodec.encode(box))
  })
  const store = await openSqliteStore(dir)
  await expect(store.sandboxes.insert(aSandbox({ name: 'web' }))).rejects.toMatchObject({
    code: 'name_taken',
  })
  await store.sandboxes.update(box.id, { state: 'paused' })
  await expect(store.sandboxes.insert(aSandbox({ name: 'web' }))).rejects.toMatchObject({
    code: 'name_taken',
  })
  const second = store.sandboxes.insert(aSandbox({ idBase: 131_072 }))
  await expect(second).rejects.toMatchObject({ code: 'conflict' })
  await store.close()
})

/** Of a row only what an older table has columns for. */
function put(database: DatabaseSync, table: string, row: object): void {
  const known = new Set(
    database
      .prepare(`pragma table_info(${table})`)
      .all()
      .map(({ name }) => name),
  )
  const fields = Object.entries(row).filter(([column]) => known.has(column))
  const columns = fields.map(([column]) => column)
  const marks = columns.map(() => '?')
  const values = fields.map(([, value]) => value)
  database.prepare(`insert into ${table} (${columns}) values (${marks})`).run(...values)
}

test('a database of a newer version is refused and left as it is', async () => {
  await filled(1)
  alter((database) => database.exec(`pragma user_version = ${MIGRATIONS.length + 1}`))
  await refusedUntouched(/newer version of Caisson/)
})

test('a database of another program is refused and left as it is', async () => {
  alter((database) => database.exec('create table theirs (a); pragma user_version = 1'))
  await refusedUntouched(/another program/)
})

test('a file that is no database is refused and left as it is', async () => {
  writeFileSync(path, 'precious notes '.repeat(1000))
  await refusedUntouched(/is damaged \(it is no SQLite database\).*Nothing was changed/)
})

test('a truncated database is refused and left as it is', async () => {
  await filled(200)
  truncateSync(path, statSync(path).size - 4096 * 3)
  await refusedUntouched(/is damaged/)
})

test('a database with overwritten pages is refused and left as it is', async () => {
  await filled(200)
  const bytes = readFileSync(path)
  bytes.fill(0xa5, 4096, 4096 * 6)
  writeFileSync(path, bytes)
  await refusedUntouched(/is damaged/)
})

test('a damaged database keeps its write-ahead log', async () => {
  // Closing moves the log into the database; the log of what follows cannot mend what is lost of it.
  await filled(200)
  const store = await openSqliteStore(dir)
  await store.sandboxes.insert(aSandbox())
  for (const end of ['', '-wal']) copyFileSync(path + end, `${path}.copy${end}`)
  await store.close()
  for (const end of ['', '-wal']) copyFileSync(`${path}.copy${end}`, path + end)
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(4096)
  const wal = readFileSync(`${path}-wal`)
  truncateSync(path, statSync(path).size - 4096 * 3)
  await refusedUntouched(/is damaged/)
  expect(readFileSync(`${path}-wal`).equals(wal)).toBe(true)
  for (const lose of [() => truncateSync(path), () => rmSync(path)]) {
    lose()
    await expect(openSqliteStore(dir)).rejects.toMatchObject({ code: 'host_not_ready' })
    expect(readFileSync(`${path}-wal`).equals(wal)).toBe(true)
  }
})

async function filled(sandboxes: number): Promise<void> {
  const store = await openSqliteStore(dir)
  for (let i = 0; i < sandboxes; i++)
    await store.sandboxes.insert(aSandbox({ description: 'x'.repeat(200) }), { durability: 'process' })
  await store.close()
}

function alter(work: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(path)
  work(database)
  database.close()
}

async function refusedUntouched(message: RegExp): Promise<void> {
  const before = readFileSync(path)
  const refused = expect(openSqliteStore(dir)).rejects
  await refused.toMatchObject({ code: 'host_not_ready', message: expect.stringMatching(message) })
  expect(readFileSync(path).equals(before)).toBe(true)
}
