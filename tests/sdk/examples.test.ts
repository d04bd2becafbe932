import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { DRIVER, TestServer, test } from '../fixture.ts'
import { cannotNetwork, World } from '../network/world.ts'

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
  'network.ts':
    '1.1.1.1:443 is allowed: allow 1.1.1.1\n8.8.8.8:22 is refused: default deny\n10.0.0.1:22 is refused: private address\nexample.com is refused: default deny\nConnectionRefusedError: [Errno 111] Connection refused\ntcp 8.8.8.8 22 default deny\nthe network is none\n',
  'ports.ts':
    'a link for a browser\nwithout a token: 401\nwith it: 200 hello from inside\nexposed ports: 0\n',
  'attempts.ts': 'after restore: 10\nresults: 20 15 9\nthe best was 20\nresumed by itself: true\n',
  'shared.ts': "the other sees: 6\nit stays: [ 'seen.txt' ]\n",
  'endings.ts':
    'exited 3\nsignalled SIGKILL null\nexecution-timeout null\ncommand_not_found no-such-program\nfailed: broken\n',
}

/** Those that need more than a server. */
const SPECIAL = ['attempts.ts', 'network.ts', 'ports.ts', 'shared.ts']

test.for(readdirSync(folder).filter((name) => name.endsWith('.ts') && !SPECIAL.includes(name)))(
  'example %s prints what it says',
  (name, { server }) => compare(name, server),
)

test('example ports.ts prints what it says', async () => {
  await using server = await TestServer.start({ listen: '127.0.0.1:0' })
  await compare('ports.ts', server)
})

test.runIf(DRIVER === 'oci')(
  'example attempts.ts prints what it says (by the storage that root has)',
  ({ server }) => compare('attempts.ts', server),
)

test.skipIf(cannotNetwork !== null).each(['network.ts', 'shared.ts'])(
  'example %s prints what it says',
  async (name) => {
    await using world = await World.create()
    await using server = await world.server()
    await compare(name, server)
  },
)

async function compare(name: string, server: TestServer): Promise<void> {
  const { stdout, stderr } = await promisify(execFile)(node, [join(folder, name)], { env: server.env })
  expect(stderr).toBe('')
  expect(stdout).toBe(OUTPUT[name])
}
