import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../fixture.ts'
import { cannotNetwork, PRIVATE, World } from '../network/world.ts'
import { Registry } from '../runtimes/world.ts'
import { build, text } from './world.ts'

const base = { runtime: 'base' }
const run = (command: string) => ({ type: 'run' as const, command })

describe.skipIf(cannotNetwork)('a template is built', () => {
  test('with the internet and the operator’s authorities, and nothing of either is in it', async () => {
    await using world = await World.create()
    await using directory = await temporaryDirectory()
    const caFile = join(directory.path, 'ca.pem')
    await writeFile(caFile, world.ca)
    await using server = await world.server({ config: { build: { caFile } } })
    const client = server.client()
    const steps = [
      run('curl -fsS -o /tmp/page https://www.example.com/; test -s /tmp/page'),
      run(`! curl -sS --max-time 3 http://${PRIVATE.lan}/`),
    ]
    const built = await build(client, 'online', { from: base, steps })
    expect(built.reason).toBeNull()
    expect(await world.seenPrivate()).toEqual([])
    await using box = await Sandbox.create({ client, template: 'online' })
    expect(
      await text(
        box,
        'test -s /tmp/page; ls -A /var/tmp; env | grep -i -e cert -e bundle -e proxy || echo none',
      ),
    ).toBe('none')
    expect(await client.call('getNetwork', { id: box.id })).toMatchObject({ network: { mode: 'none' } })
  })

  test('by the operator’s proxy, where there is one', async () => {
    await using registry = await Registry.start()
    await registry.publish('something', '1.0.0', '')
    await using server = await registry.server({ build: { proxy: registry.proxy } })
    await registry.seen()
    const steps = [run('curl -fsS http://registry.test:4873/something > /dev/null')]
    expect((await build(server.client(), 'proxied', { from: base, steps })).reason).toBeNull()
    expect(await registry.seen()).toContain('proxy registry.test:4873/something')
  })
})
