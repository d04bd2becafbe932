import { existsSync, readFileSync } from 'node:fs'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { layer, layout } from '../archives/image.ts'
import type { TestServer } from '../fixture.ts'
import { build, cannotBuild, startBuilding, text, upload } from './world.ts'

const BUSYBOX = '/bin/busybox'
const isStatic = existsSync(BUSYBOX) && !readFileSync(BUSYBOX).includes('/ld-linux')
const PASSWD = 'root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n'

describe.skipIf(cannotBuild !== null)('a template from an image', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startBuilding()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('without a shell gets files all the same, and is told that nothing runs', async () => {
    const files = await layer([
      { path: 'etc/', type: 'directory' },
      { path: 'etc/passwd', text: PASSWD },
    ])
    await client.runtimes.import(
      'example.test-bare:1',
      await layout([files], { config: { config: { User: 'web' } } }),
    )
    // As a reference of a registry is called when it was imported.
    const from = { image: 'example.test/bare:1' }
    const hash = await upload(client, { 'a/b.txt': 'x' })
    const copy = { type: 'copy' as const, files: hash, source: 'a', target: '/srv/', mode: 0o640 }
    const built = await build(client, 'bare', { from, steps: [copy] })
    expect(built.reason).toBeNull()
    const { id } = await client.call('createSandbox', { template: 'bare' })
    const stat = await client.call('statFile', { id, path: '/srv/b.txt', user: 'root' })
    expect(stat).toMatchObject({ uid: 33, mode: 0o640, size: 1 })
    await client.call('deleteSandbox', { id })
    const failed = await build(client, 'bare', { from, steps: [{ type: 'run', command: 'true' }] })
    expect(failed).toMatchObject({
      status: 'failed',
      reason: { step: 1, message: expect.stringContaining('/bin/sh') },
    })
  })

  test.skipIf(!isStatic)('with a small one is built by that', async () => {
    const files = await layer([
      ...['etc/', 'bin/', 'home/', 'tmp/'].map((path) => ({ path, type: 'directory' as const })),
      { path: 'etc/passwd', text: PASSWD },
      { path: 'etc/group', text: 'root:x:0:\n' },
      { path: 'etc/shadow', text: 'root:*::0:::::\n' },
      { path: 'bin/busybox', text: readFileSync(BUSYBOX), mode: 0o755 },
      ...['sh', 'id', 'sleep', 'test', 'cat', 'touch'].map((name) => ({
        ...{ path: `bin/${name}`, type: 'symlink' as const, link: 'busybox' },
      })),
    ])
    await client.runtimes.import('busy:1', await layout([files]))
    const steps = [
      { type: 'workdir' as const, path: '/app' },
      { type: 'run' as const, command: 'id -u; echo made > made; false || echo on' },
    ]
    const startCommand = 'sleep 0.2; touch /tmp/up; exec sleep 1000'
    const built = await build(client, 'busy', {
      from: { image: 'busy:1' },
      steps,
      startCommand,
      readyCommand: 'test -e /tmp/up',
    })
    expect(built.reason).toBeNull()
    expect(built.told).toEqual(expect.arrayContaining(['0', 'on']))
    await using box = await Sandbox.create({ client, template: 'busy' })
    expect(await text(box, 'cat made /tmp/up')).toBe('made')
  })
})
