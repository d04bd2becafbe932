import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { cannotNetwork, test } from './fixture.ts'

const root = resolve(import.meta.dirname, '../..')

/** What somebody has who wrote it for E2B's or Moru's own service. */
const program = (client: string) => `
  import { Sandbox } from '${client}'
  const sandbox = await Sandbox.create()
  await sandbox.files.write('/home/user/a.txt', 'moved')
  const { stdout } = await sandbox.commands.run('cat a.txt; whoami')
  console.log(JSON.stringify({ stdout, host: sandbox.getHost(3000) }))
  await sandbox.kill()
`

describe.skipIf(cannotNetwork)(
  'what "caisson keys create --export" prints is all that a program needs',
  () => {
    test.for([
      ['e2b', 'e2b'],
      ['e2b', 'e2b-2.45'],
      ['moru', '@moru-ai/core'],
    ] as const)('%s, by %s', async ([client, module], { e2b }) => {
      const { stdout: lines } = await e2b.server.cli(['keys', 'create', 'agent', '--export', client])
      const { stdout } = await promisify(execFile)(
        '/bin/sh',
        ['-c', `${lines}\nexec node_modules/.bin/node --input-type=module -e "$0"`, program(module)],
        { cwd: root, env: { PATH: process.env.PATH } },
      )
      const { port } = new URL(e2b.url)
      expect(JSON.parse(stdout)).toEqual({
        stdout: 'moveduser\n',
        host: expect.stringMatching(new RegExp(`^3000-i[a-z2-7]{20}\\.localhost:${port}$`)),
      })
    })
  },
)
