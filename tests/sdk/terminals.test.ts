import { type OutputChunk, Sandbox } from 'caisson'
import { beforeEach, expect } from 'vitest'
import { type TestServer, test } from '../fixture.ts'

let sandbox: Sandbox
beforeEach<{ server: TestServer }>(async ({ server }) => {
  sandbox = await Sandbox.create({ client: server.client() })
  return () => sandbox.delete()
})

/** Reads until the text has come. */
async function until(output: AsyncIterator<OutputChunk>, wanted: string): Promise<string> {
  let text = ''
  while (!text.includes(wanted)) {
    const next = await output.next()
    if (next.done) throw new Error(`"${wanted}" did not come, but ${JSON.stringify(text)}`)
    text += Buffer.from(next.value.data).toString()
  }
  return text
}

test('a terminal is a login shell that is typed into, resized and ended', async () => {
  const terminal = await sandbox.terminal({ cols: 91, rows: 23 })
  let text = ''
  for await (const bytes of terminal) {
    const before = text
    text += Buffer.from(bytes).toString()
    if (before === '') await terminal.write('stty size; pwd\n')
    if (!before.includes('23 91') && text.includes('23 91')) {
      await terminal.resize({ cols: 132, rows: 50 })
      await terminal.write('stty size; exit 3\n')
    }
  }
  expect(text).toContain('50 132')
  expect(text).toContain('/home/agent')
  expect((await terminal.wait()).exitCode).toBe(3)
})

test('a terminal goes on without viewers, and the next finds what was drawn', async () => {
  const terminal = await sandbox.terminal({ command: ['cat'] })
  await terminal.write('first line\n')
  for await (const _ of terminal) break
  const again = await sandbox.attach(terminal.execution.id)
  const output = again.terminal()
  await until(output, 'first line\r\nfirst line')
  await again.stdin.write('second line\n')
  await until(output, 'second line\r\nsecond line')
  await terminal.kill()
  expect((await output.next()).done ?? false).toBe(true)
  expect((await terminal.wait()).ending).not.toBe('exited')
})

test('several viewers see the same, and each may type and resize', async () => {
  const script = 'while read line; do [ "$line" = size ] && stty size || echo "<$line>"; done'
  const first = await sandbox.start(script, { tty: { cols: 80, rows: 24 } })
  const one = first.terminal()
  await first.stdin.write('one\n')
  await until(one, '<one>')
  const second = await sandbox.attach(first.id)
  const two = second.terminal()
  expect(await until(two, '<one>')).toContain('one')
  await second.stdin.write('two\n')
  await Promise.all([until(one, '<two>'), until(two, '<two>')])
  await first.resize({ cols: 100, rows: 40 })
  await second.stdin.write('size\n')
  await Promise.all([until(one, '40 100'), until(two, '40 100')])
  expect((await second.refresh()).terminal).toEqual({ cols: 100, rows: 40 })
  await one.return()
  await second.stdin.write('three\n')
  await until(two, '<three>')
  const late = first.terminal({ tail: 5 })
  expect((await until(late, '>')).length).toBeLessThanOrEqual(5)
  await late.return()
  await two.return()
  await first.kill()
})

test('a terminal is resized without being watched, and what has none says so', async () => {
  const shell = await sandbox.start('read go; stty size', { tty: { cols: 80, rows: 24 } })
  await shell.resize({ cols: 90, rows: 30 })
  await shell.stdin.write('\n')
  expect((await shell.wait()).stdout).toContain('30 90')
  await expect(shell.resize({ cols: 90, rows: 30 })).rejects.toMatchObject({ code: 'execution_ended' })
  const plain = await sandbox.start(['sleep', '86399'])
  await expect(plain.resize({ cols: 90, rows: 30 })).rejects.toMatchObject({ code: 'not_supported' })
})
