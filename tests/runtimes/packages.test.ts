/** Packages that are installed when a sandbox is created, once for all who ask for the same. */
import { lookup } from 'node:dns/promises'
import { Sandbox } from 'caisson'
import { test as base, describe, expect } from 'vitest'
import { hostMirrors } from '../../packages/server/src/storage/images/mirror.ts'
import { TestServer } from '../test-server.ts'
import { builders, cannotBuild, Registry } from './world.ts'

/** Stands for npm: tells how it was called, and which run of it this was. */
const NPM = `#!/bin/sh
case "$*" in *no-such*) echo 'npm error 404 no-such is not there'; exit 1;; esac
mkdir -p /usr/local/share/npm
echo "$(id -un) $npm_config_registry $*" >/usr/local/share/npm/call
cp /proc/sys/kernel/random/uuid /usr/local/share/npm/run
touch "$npm_config_cache" 2>/dev/null || true
`

const test = base.extend<{ registry: Registry; server: TestServer }>({
  registry: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using registry = await Registry.start()
      await registry.recipe('npm', [['test', '-x', '/usr/local/bin/npm']])
      await registry.publish('npm', '11.0.0', NPM)
      await use(registry)
    },
    { scope: 'file' },
  ],
  server: [
    async ({ registry }, use) => {
      await using server = await registry.server()
      await server.client().runtimes.build('npm')
      await use(server)
    },
    { scope: 'file' },
  ],
})

const call = async (box: Sandbox) => (await box.exec(['cat', '/usr/local/share/npm/call'])).stdout
const runOf = async (box: Sandbox) => (await box.exec(['cat', '/usr/local/share/npm/run'])).stdout

describe.skipIf(cannotBuild)('packages of npm', () => {
  test('are installed by root in a builder, from the registry of the operator', async ({ server }) => {
    const packages = ['prettier@3', '@scope/name']
    await using box = await Sandbox.create({ client: server.client(), runtime: 'npm', packages })
    expect(await call(box)).toBe(
      'root http://registry.test:4873/ install --global --no-progress -- @scope/name prettier@3\n',
    )
    expect(box.info).toMatchObject({ packages, dependencies: [], network: { mode: 'none' } })
    expect((await box.exec(['id', '-un'])).stdout).toBe('agent\n')
    expect(await builders(server)).toBe(0)
  })

  test('are installed once, in whatever order and by how many they are asked for', async ({ server }) => {
    const create = (packages: string[]) =>
      Sandbox.create({ client: server.client(), runtime: 'npm', packages })
    const boxes = await Promise.all([create(['a', 'b']), create(['b', 'a', 'a']), create(['a', 'b'])])
    boxes.push(await create(['b', 'a']))
    const runs = await Promise.all(boxes.map(runOf))
    expect(new Set(runs).size).toBe(1)
    await using other = await create(['a'])
    expect(await runOf(other)).not.toBe(runs[0])
    await Promise.all(boxes.map((box) => box.delete()))
  })

  test('what one sandbox changes in them no other sees', async ({ server }) => {
    const create = () => Sandbox.create({ client: server.client(), runtime: 'npm', packages: ['a'] })
    await using one = await create()
    await using other = await create()
    await one.exec(['sudo', 'sh', '-c', 'echo mine >/usr/local/share/npm/call; rm /usr/local/bin/npm'])
    expect(await call(one)).toBe('mine\n')
    expect(await call(other)).toContain('install --global')
    expect((await other.exec(['test', '-x', '/usr/local/bin/npm'])).exitCode).toBe(0)
  })

  test('that are not there are told of in the words of npm, and asked for again the next time', async ({
    server,
  }) => {
    const create = () => Sandbox.create({ client: server.client(), runtime: 'npm', packages: ['no-such'] })
    for (let time = 0; time < 2; time++) {
      const refused = create()
      await expect(refused).rejects.toMatchObject({ code: 'build_failed' })
      await expect(refused).rejects.toThrow(/npm error 404 no-such is not there/)
    }
    expect(await builders(server)).toBe(0)
  })
})

describe.skipIf(cannotBuild)('a server that dies while it installs', () => {
  test.for(['layer:saved', 'layer:recorded'])(
    'at %s leaves nothing, and installs again',
    async (at, { registry }) => {
      await using server = await registry.server()
      await server.client().runtimes.build('npm')
      const before = (await server.client().call('getDiskUsage', {})).saved.count
      await server.restart({ failpoint: at })
      const create = () => Sandbox.create({ client: server.client(), runtime: 'npm', packages: ['a'] })
      await expect(create()).rejects.toThrow()
      await server.died()
      await server.up()
      await using box = await create()
      expect(await call(box)).toContain('install --global')
      expect(await builders(server)).toBe(0)
      await server.client().call('collectGarbage', {})
      expect((await server.client().call('getDiskUsage', {})).saved.count).toBe(before + 1)
    },
  )
})

/** Why packages of Debian cannot be installed here; null when they can. */
const noMirror = await (async () => {
  if (cannotBuild !== null) return cannotBuild
  const { main } = await hostMirrors()
  return lookup(new URL(main).hostname).then(
    () => null,
    () => `the Debian mirror ${main} is not reached from here`,
  )
})()
if (noMirror !== null) console.warn(`skipped: ${noMirror}`)

describe.skipIf(noMirror !== null)('packages of Debian', () => {
  test('are installed from the mirror of the host, with all that they need, and leave no trace of the build', async () => {
    await using server = await TestServer.start()
    const create = (dependencies: string[]) => Sandbox.create({ client: server.client(), dependencies })
    const [box, same] = await Promise.all([create(['cowsay', 'figlet']), create(['figlet', 'cowsay'])])
    expect((await box.exec(['/usr/games/cowsay', 'moo'])).stdout).toContain('< moo >')
    expect((await same.exec(['sh', '-c', 'figlet -v | head -1'])).exitCode).toBe(0)
    const left = 'find /var/lib/apt/lists /var/cache/apt/archives /tmp /var/tmp -type f -not -name lock'
    expect((await box.exec(['sh', '-c', `${left}; ls /usr/sbin/policy-rc.d`])).stdout).toBe('')
    const sources = (await box.exec(['cat', '/etc/apt/sources.list'])).stdout
    expect(sources).toContain('http://deb.debian.org/debian ')
    const missing = create(['no-such-package-of-debian'])
    await expect(missing).rejects.toThrow(/Unable to locate package no-such-package-of-debian/)
  })
})
