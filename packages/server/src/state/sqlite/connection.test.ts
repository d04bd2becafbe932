import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { anExecution, aSandbox } from '../fixtures.ts'
import { Connection } from './connection.ts'
import { SqliteExecutions } from './executions.ts'
import { openChecked } from './open.ts'
import { SqliteSandboxes } from './sandboxes.ts'

test('a full disk is told as such, undoes the write, and is over when there is space again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-full-'))
  const path = join(dir, 'caisson.db')
  const database = openChecked(path)
  const connection = new Connection(database, path)
  try {
    const sandboxes = new SqliteSandboxes(connection, async () => {})
    const executions = new SqliteExecutions(connection)
    const box = aSandbox()
    await sandboxes.insert(box)
    database.exec('pragma max_page_count = 1')
    const large = anExecution(box.id, { argv: ['x'.repeat(1_000_000)] })
    await expect(executions.insert(large)).rejects.toMatchObject({
      code: 'host_not_ready',
      message: expect.stringContaining('no space left'),
    })
    expect(await sandboxes.get(box.id)).toEqual(box)
    database.exec('pragma max_page_count = 1000000')
    await executions.insert(large)
    expect((await sandboxes.get(box.id))?.executionCount).toBe(1)
  } finally {
    await connection.close()
    rmSync(dir, { recursive: true })
  }
})

test('more kinds of statements than are kept prepared still work', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-many-'))
  const path = join(dir, 'caisson.db')
  const connection = new Connection(openChecked(path), path)
  try {
    for (let i = 1; i <= 600; i++) {
      const row = await connection.db.selectNoFrom(({ lit }) => lit(i).as('n')).executeTakeFirstOrThrow()
      expect(row.n).toBe(i)
    }
  } finally {
    await connection.close()
    rmSync(dir, { recursive: true })
  }
})
