import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { test } from '../fixture.ts'

const folder = resolve(import.meta.dirname, '../../examples')
const node = resolve(folder, '../node_modules/.bin/node')

/** What each example prints. One without a row here fails. */
const OUTPUT: Record<string, string> = {
  'hello.ts': '42\n',
  'streaming.ts': 'line 1\nline 2\nline 3\nstdout at 0: first\nstderr at 6: second\nsecond\n',
  'files.ts': '1 2 3\nhello\nnumbers.txt 6\nsorted.txt 6\nnot found: missing.txt\n',
  'jobs.ts':
    'step 1\nstep 2\nstep 3\nthe job has completed\nthe server was cancelled\njob:ended completed\njob:ended cancelled\n',
  'stdin.ts': '50005000\nanswer: one\nanswer: two\nanswer: three\nexit code 0\n',
  'endings.ts':
    'exited 3\nsignalled SIGKILL null\nexecution-timeout null\ncommand_not_found no-such-program\nfailed: broken\n',
}

test.for(readdirSync(folder).filter((name) => name.endsWith('.ts')))(
  'example %s prints what it says',
  async (name, { server }) => {
    const { stdout, stderr } = await promisify(execFile)(node, [join(folder, name)], { env: server.env })
    expect(stderr).toBe('')
    expect(stdout).toBe(OUTPUT[name])
  },
)
