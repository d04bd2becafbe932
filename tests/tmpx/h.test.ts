import { Sandbox } from 'caisson'
import { expect, test } from 'vitest'
import { TestServer } from '../fixture.ts'
test('x', async () => {
  const server = await TestServer.start()
  const sandbox = await Sandbox.create({ client: server.client() })
  let restarted: Promise<void> | undefined
  const t0 = Date.now()
  const log = (m: string) => console.log(m, Date.now() - t0)
  const result = await sandbox.sh('for i in $(seq 1 30); do echo $i; sleep 0.1; done', {
    onStdout: (text) => {
      if (/\b5\n/.test(text)) { restarted ??= server.kill9().then(() => server.up({ failpoint: 'nonsense' })); restarted.catch(() => log('up failed')) }
    },
  }).catch((e) => e)
  log(String(result))
  await server[Symbol.asyncDispose]().catch((e) => log(String(e)))
  log('disposed')
}, 100000)
