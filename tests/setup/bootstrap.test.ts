import { rmSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Checkout } from './checkout.ts'

/** Fetched by root alone. */
const CRIU = process.getuid?.() === 0 ? ['criu'] : []
const EVERYTHING = ['npm', 'make', 'runtime', ...CRIU]

test('the first use readies everything and says so; the next finds it and says nothing', async () => {
  using checkout = new Checkout()
  const first = await checkout.run(['run', '--', 'echo', 'a b'])
  expect(first).toMatchObject({ code: 0 })
  expect(first.stdout).toMatch(/^node .*\/packages\/cli\/src\/main\.ts run -- echo a b\n$/)
  expect(first.stderr).toMatch(/npm packages.*\n.*agent.*\n[\s\S]*base runtime/)
  expect(checkout.calls()).toEqual(EVERYTHING)
  expect(await checkout.run(['run'])).toMatchObject({ code: 0, stderr: '' })
  expect(checkout.calls()).toEqual([])
})

test('it is found through a symbolic link and from another directory', async () => {
  using checkout = new Checkout()
  await checkout.run(['setup'])
  const link = join(checkout.root, '../link')
  symlinkSync('check out/caisson', link)
  const linked = await checkout.run(['list'], {}, link)
  expect(linked.stdout).toContain('check out/packages/cli/src/main.ts list')
})

test.each([[['version']], [['--help']], [['doctor']], [[]]])('%j needs only the packages', async (args) => {
  using checkout = new Checkout()
  checkout.remove('crun')
  expect(await checkout.run(args)).toMatchObject({ code: 0 })
  expect(checkout.calls()).toEqual(['npm'])
})

test('a client of another server needs only the packages; the local driver needs no image', async () => {
  using checkout = new Checkout()
  await checkout.run(['list'], { CAISSON_URL: 'http://host.example' })
  expect(checkout.calls()).toEqual(['npm'])
  await checkout.run(['list'], { CAISSON_DRIVER: 'local' })
  expect(checkout.calls()).toEqual(['make'])
})

test('what has changed is made again, and nothing else', async () => {
  using checkout = new Checkout()
  await checkout.run(['setup'])
  checkout.calls()
  checkout.write('native/agent/main.c', 'changed')
  await checkout.run(['list'])
  expect(checkout.calls()).toEqual(['make'])
  checkout.write('package-lock.json', 'changed')
  await checkout.run(['list'])
  expect(checkout.calls()).toContain('npm')
})

test.skipIf(CRIU.length === 0)(
  'without a criu everything else is ready, and the reason is told',
  async () => {
    using checkout = new Checkout()
    checkout.write('scripts/criu.sh', 'echo "no mirror" >&2; exit 70')
    const { code, stderr } = await checkout.run(['run', '--', 'echo'])
    expect([code, stderr]).toEqual([0, expect.stringMatching(/memory in RAM: no mirror/)])
  },
)

test('a lock file that is only newer installs nothing', async () => {
  using checkout = new Checkout()
  await checkout.run(['setup'])
  checkout.calls()
  const later = Date.now() / 1000 + 1
  utimesSync(join(checkout.root, 'package-lock.json'), later, later)
  await checkout.run(['list'])
  expect(checkout.calls()).not.toContain('npm')
})

test('setup does all of it, asks for the runtime again, and ends', async () => {
  using checkout = new Checkout()
  expect(await checkout.run(['setup'])).toMatchObject({ code: 0, stdout: '' })
  expect(checkout.calls()).toEqual(EVERYTHING)
  await checkout.run(['setup'])
  expect(checkout.calls()).toEqual(['runtime', ...CRIU])
  expect(await checkout.run(['setup', '--help'])).toMatchObject({ code: 0 })
  expect(await checkout.run(['setup', '--frobnicate'])).toMatchObject({ code: 64 })
})

test('root installs the system packages that are missing', async () => {
  using checkout = new Checkout()
  checkout.remove('crun')
  checkout.standIn('id', 'echo 0')
  checkout.standIn('apt-get', 'echo "$*" >>"$CALLS"')
  expect(await checkout.run(['setup'])).toMatchObject({ code: 0 })
  const calls = checkout.calls()
  expect(calls.find((call) => call.startsWith('install'))).toMatch(/ crun$/)
  expect(calls).not.toContain('update')
})

test('package lists are brought up to date only when the install fails without', async () => {
  using checkout = new Checkout()
  checkout.remove('crun')
  checkout.standIn('id', 'echo 0')
  checkout.standIn(
    'apt-get',
    'echo "$1" >>"$CALLS"; [ -e updated ] || [ "$1" = update ] || exit 100; : >updated',
  )
  expect(await checkout.run(['setup'])).toMatchObject({ code: 0 })
  expect(checkout.calls().filter((call) => ['install', 'update'].includes(call))).toEqual([
    'install',
    'update',
    'install',
  ])
})

test('anyone else is told the exact line, and nothing is begun', async () => {
  using checkout = new Checkout()
  checkout.remove('crun')
  checkout.remove('mmdebstrap')
  checkout.standIn('id', 'echo 1000')
  const { code, stderr } = await checkout.run(['run', 'true'])
  expect(code).toBe(69)
  expect(stderr).toContain('sudo apt-get install -y crun mmdebstrap\n')
  expect(checkout.calls().filter((call) => call !== 'id')).toEqual([])
})

test('a system without apt-get is told what it lacks', async () => {
  using checkout = new Checkout()
  checkout.remove('npm')
  checkout.remove('apt-get')
  expect(await checkout.run(['version'])).toMatchObject({
    code: 69,
    stderr: expect.stringContaining('nodejs npm'),
  })
})

test('the base runtime is not built without root; the line to run is printed', async () => {
  using checkout = new Checkout()
  checkout.standIn('id', 'echo 1000')
  const { code, stderr } = await checkout.run(['run', 'true'])
  expect(code).toBe(69)
  expect(stderr).toContain(`sudo CAISSON_IMAGES_DIR=${checkout.data}/images`)
})

test('a step that fails shows what it said, and is tried again', async () => {
  using checkout = new Checkout()
  checkout.standIn('make', 'echo "main.c:1: error: mistake" >&2; exit 2')
  expect(await checkout.run(['run'])).toMatchObject({
    code: 69,
    stderr: expect.stringContaining('error: mistake'),
  })
  expect(await checkout.run(['run'])).toMatchObject({ code: 69 })
  expect(checkout.calls().filter((call) => call === 'make')).toHaveLength(2)
})

test('a build that leaves something out is named, and not taken for done', async () => {
  using checkout = new Checkout()
  checkout.standIn('make', 'mkdir -p native/build')
  expect(await checkout.run(['run'])).toMatchObject({
    code: 70,
    stderr: expect.stringContaining('not everything'),
  })
})

test('an install that was cut off is made again', async () => {
  using checkout = new Checkout()
  await checkout.run(['setup'])
  checkout.calls()
  // npm removes node_modules first and the stamp is written last: what a kill leaves has none.
  rmSync(join(checkout.root, 'node_modules/.caisson-packages'))
  await checkout.run(['version'])
  expect(checkout.calls()).toEqual(['npm'])
})

test('two first uses at once install once, and both succeed', async () => {
  using checkout = new Checkout()
  checkout.standIn(
    'make',
    'sleep 0.2; mkdir -p native/build; for f in agent launcher; do cp "$STUBS/node" native/build/$f; done; : >native/build/seccomp.bpf',
  )
  const outcomes = await Promise.all([1, 2, 3].map(() => checkout.run(['list'])))
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0])
  expect(checkout.calls()).toEqual(EVERYTHING)
})
