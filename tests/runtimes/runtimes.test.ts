/** Runtimes that are made above others, from packages of a registry that only the operator vouches for. */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { test as base, describe, expect } from 'vitest'
import type { TestServer } from '../test-server.ts'
import { builders, cannotBuild, Registry } from './world.ts'

const test = base.extend<{ registry: Registry; server: TestServer }>({
  registry: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using registry = await Registry.start()
      for (const name of ['tool', 'other', 'fresh', 'tampered', 'broken', 'proxied'])
        await registry.recipe(name)
      await registry.publish('tool', '1.2.3', '#!/bin/sh\necho tool $(id -un)\n')
      for (const name of ['other', 'fresh', 'proxied']) await registry.publish(name, '1.0.0', '#!/bin/sh\n')
      await registry.publish('tampered', '1.0.0', '#!/bin/sh\n', true)
      await registry.publish('broken', '1.0.0', '#!/bin/sh\necho cannot; exit 3\n')
      await use(registry)
    },
    { scope: 'file' },
  ],
  server: [
    async ({ registry }, use) => {
      await using server = await registry.server()
      await use(server)
    },
    { scope: 'file' },
  ],
})

describe.skipIf(cannotBuild)('a runtime with packages', () => {
  test('is built by the first who wants it, once for all who want it at the same time', async ({
    registry,
    server,
  }) => {
    const client = server.client()
    expect(await client.runtimes.get('tool')).toMatchObject({ built: false, createdAt: null })
    await registry.seen()
    const boxes = await Promise.all([1, 2, 3].map(() => Sandbox.create({ client, runtime: 'tool' })))
    expect(await registry.seen()).toEqual(['/tool', '/tool/-/tool-1.2.3.tgz'])
    for (const box of boxes) expect((await box.exec(['tool'])).stdout).toBe('tool agent\n')
    expect(await client.runtimes.get('tool')).toMatchObject({ built: true, source: 'recipe' })
    expect(await builders(server)).toBe(0)
    await using later = await Sandbox.create({ client, runtime: 'tool:latest' })
    expect((await later.exec(['find', '/var/tmp', '/tmp', '-mindepth', '1'])).stdout).toBe('')
    expect(await registry.seen()).toEqual([])
    await Promise.all(boxes.map((box) => box.delete()))
  })

  test('is built ahead, and anew only by force; what was made before keeps what it has', async ({
    registry,
    server,
  }) => {
    const { runtimes } = server.client()
    const steps: string[] = []
    const built = await runtimes.build('fresh', { onStep: (step) => steps.push(step) })
    expect(steps).toEqual(expect.arrayContaining(['unpacking fresh@latest', 'unpacked fresh@1.0.0']))
    expect(await runtimes.build('fresh')).toEqual(built)
    await using box = await Sandbox.create({ client: server.client(), runtime: 'fresh' })
    await registry.publish('fresh', '2.0.0', '#!/bin/sh\necho two\n')
    await runtimes.build('fresh', { force: true })
    await using next = await Sandbox.create({ client: server.client(), runtime: 'fresh' })
    expect((await box.exec(['fresh'])).stdout).toBe('')
    expect((await next.exec(['fresh'])).stdout).toBe('two\n')
  })

  test('whose package is not what the registry says is refused, and so is one that does not do what it promises', async ({
    server,
  }) => {
    const { runtimes } = server.client()
    await expect(runtimes.build('tampered')).rejects.toMatchObject({
      code: 'build_failed',
      message: expect.stringMatching(
        /Runtime "tampered:latest" could not be built[\s\S]*(FAILED|did NOT match)/,
      ),
    })
    await expect(runtimes.build('broken')).rejects.toMatchObject({
      code: 'build_failed',
      message: expect.stringMatching(/"broken" failed with exit code 3[\s\S]*cannot/),
    })
    for (const name of ['tampered', 'broken']) expect((await runtimes.get(name)).built).toBe(false)
    expect(await builders(server)).toBe(0)
  })

  test('gives no other sandbox the way to the registry', async ({ server }) => {
    await server.client().runtimes.build('other')
    const network = { allow: ['registry.test', 'registry.test:4873'] }
    await using box = await Sandbox.create({ client: server.client(), network })
    const reached = await box.exec(['curl', '-sS', '--max-time', '5', 'http://registry.test:4873/other'])
    expect(reached.exitCode).not.toBe(0)
    expect(reached.stdout).toBe('')
  })

  test('is built by the proxy of the operator and reaches nothing else', async ({ registry }) => {
    await using server = await registry.server({ build: { proxy: registry.proxy } })
    await registry.seen()
    await server.client().runtimes.build('proxied')
    const seen = await registry.seen()
    expect(seen.filter((path) => path.startsWith('proxy '))).toEqual([
      'proxy registry.test:4873/proxied',
      'proxy registry.test:4873/proxied/-/proxied-1.0.0.tgz',
    ])
  })

  test('is built anew when what it was made of is lost with the pool', async ({ registry, server }) => {
    await server.client().runtimes.build('tool')
    await using other = await registry.server()
    await cp(join(server.dataDir, 'runtimes'), join(other.dataDir, 'runtimes'), { recursive: true })
    await using box = await Sandbox.create({ client: other.client(), runtime: 'tool' })
    expect((await box.exec(['tool'])).stdout).toBe('tool agent\n')
  })
})

describe.skipIf(cannotBuild)('what cannot be', () => {
  test('bad names are refused with all that are wrong, before anything is started', async ({ server }) => {
    const refused = Sandbox.create({
      client: server.client(),
      runtime: 'other',
      dependencies: ['jq', '--force-yes'],
      packages: ['../up'],
    })
    await expect(refused).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(refused).rejects.toThrow(/dependencies\[1\][\s\S]*packages\[0\]/)
  })

  test('packages of npm need npm or bun', async ({ server }) => {
    const refused = Sandbox.create({ client: server.client(), packages: ['prettier'] })
    await expect(refused).rejects.toMatchObject({ code: 'not_supported' })
    expect(await builders(server)).toBe(0)
  })

  test('storage that keeps no copies has no runtimes with packages', async ({ registry }) => {
    await using server = await registry.server({ env: { CAISSON_STORAGE: 'overlay' } })
    await expect(server.client().runtimes.build('tool')).rejects.toMatchObject({ code: 'not_supported' })
    const refused = Sandbox.create({ client: server.client(), dependencies: ['jq'] })
    await expect(refused).rejects.toThrow(/btrfs/)
  })

  test('a runtime of the catalogue is not deleted', async ({ server }) => {
    const { runtimes } = server.client()
    await expect(runtimes.delete('base')).rejects.toMatchObject({ code: 'not_supported' })
    await expect(runtimes.delete('nope')).rejects.toMatchObject({ code: 'runtime_not_found' })
  })
})
