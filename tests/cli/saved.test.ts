import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { DRIVER, type TestServer, temporaryDirectory, test } from '../fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
async function json(server: TestServer, ...args: string[]): Promise<any> {
  const { stdout, stderr, code } = await server.cli([...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

const text = async (server: TestServer, id: string, path: string): Promise<string> =>
  (await server.cli(['exec', id, '--', 'cat', path])).stdout

/** Files are copied in constant time by the storage that root has. */
const saves = DRIVER === 'oci'

describe('pause and resume', () => {
  test('by their names and aliases; a command resumes', async ({ server }) => {
    const id = (await server.cli(['create', '--on-timeout', 'pause', '--paused-timeout', '7d'])).stdout.trim()
    await server.cli(['exec', id, '--', 'sh', '-c', 'echo kept > f'])
    const paused = await server.cli(['pause', id, '--depth', 'filesystem'])
    expect(paused.stdout).toMatch(
      new RegExp(`^${id} suspended \\(filesystem, processes have ended, since .*deleted`),
    )
    expect((await json(server, 'list', '--status', 'suspended')).sandboxes).toMatchObject([{ id }])
    expect((await server.cli(['get', id])).stdout).toMatch(/paused +filesystem/)
    expect(JSON.parse((await server.cli(['exec', id, '--json', '--', 'cat', 'f'])).stdout)).toMatchObject({
      stdout: 'kept\n',
      autoResumed: true,
    })
    expect(await json(server, 'hibernate', id)).toMatchObject({ pause: { depth: expect.any(String) } })
    expect((await server.cli(['wake', id, '--ttl', '1h'])).stdout).toBe(`${id} idle\n`)
    expect(await json(server, 'resume', id)).toMatchObject({ pause: null, expiresAt: expect.any(String) })
    expect(await server.cli(['pause', id, '--depth', 'deep'])).toMatchObject({ code: 2 })
    await server.cli(['delete', id])
  })
})

describe.runIf(saves)('what is saved (by the storage that root has)', () => {
  test('checkpoints are made, listed, restored and deleted', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    await server.cli(['exec', id, '--', 'sh', '-c', 'echo before > f'])
    const checkpoint = (await server.cli(['checkpoint', 'create', id, 'first'])).stdout.trim()
    expect(checkpoint).toMatch(/^ckpt_/)
    await server.cli(['exec', id, '--', 'sh', '-c', 'echo after > f'])
    expect((await server.cli(['ckpt', 'ls', id])).stdout).toMatch(/ID +NAME[^\n]*\nckpt_\S+ +first/)
    expect(await json(server, 'checkpoint', 'create', id)).toMatchObject({ name: null, sandboxId: id })
    expect((await json(server, 'checkpoint', 'list', id)).total).toBe(2)
    expect((await server.cli(['checkpoint', 'restore', id, 'first'])).code).toBe(0)
    expect(await text(server, id, 'f')).toBe('before\n')
    expect((await server.cli(['checkpoint', 'del', id, checkpoint, '--confirm'])).stdout).toBe(
      `deleted ${checkpoint}\n`,
    )
    expect(await server.cli(['ckpt', 'restore', id, 'first'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has no checkpoint "first"'),
    })
    await server.cli(['delete', id])
  })

  test('a fork prints the ids of the copies, which have the files', async ({ server }) => {
    const id = (await server.cli(['create', '--file', `/home/agent/f:${import.meta.filename}`])).stdout.trim()
    const copies = (await server.cli(['fork', id, '--count', '2', '--name', 'try'])).stdout.trim().split('\n')
    expect(copies).toHaveLength(2)
    for (const copy of copies) expect(await text(server, copy, 'f')).toContain('which have the files')
    expect(await json(server, 'get', 'try-2')).toMatchObject({ forkedFrom: id })
    await server.cli(['delete', id, ...copies])
  })

  test('snapshots are made, listed, tagged, used and deleted', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    await server.cli(['exec', id, '--', 'sh', '-c', 'echo saved > f'])
    const made = await server.cli(['snapshot', 'create', id, '--name', 'ml', '--metadata', 'a=b'])
    expect(made.stderr).toContain('saved as ml:latest')
    const snapshot = made.stdout.trim()
    expect((await server.cli(['snap', 'list', '--sandbox', id])).stdout).toMatch(/snp_\S+ +ml +latest/)
    expect(await json(server, 'snapshot', 'show', 'ml')).toMatchObject({ id: snapshot, metadata: { a: 'b' } })
    expect((await server.cli(['snapshot', 'tag', 'ml', 'v2'])).stdout).toBe(`${snapshot} ml:v2\n`)
    expect((await server.cli(['run', '--snapshot', 'ml:v2', '--', 'cat', 'f'])).stdout).toBe('saved\n')
    const kept = (await server.cli(['create', '--snapshot', snapshot])).stdout.trim()
    expect((await server.cli(['snapshot', 'lineage', 'ml:v2'])).stdout).toContain(kept)
    expect((await server.cli(['snapshot', 'tag', snapshot, '--clear'])).stdout).toBe(`${snapshot} ml\n`)
    expect(await server.cli(['snapshot', 'tag', snapshot])).toMatchObject({ code: 2 })
    expect((await server.cli(['snapshot', 'rm', snapshot])).stdout).toBe(`deleted ${snapshot}\n`)
    expect(await text(server, kept, 'f')).toBe('saved\n')
    expect(await json(server, 'snapshot', 'list')).toMatchObject({ snapshots: [], total: 0 })
    await server.cli(['delete', id, kept])
  })

  test('a snapshot is built from a file, once', async ({ server }) => {
    await using directory = await temporaryDirectory()
    const cwd = join(directory.path, 'project')
    mkdirSync(join(cwd, 'src'), { recursive: true })
    writeFileSync(join(cwd, 'src/run.sh'), 'echo "$GREETING"\n', { mode: 0o755 })
    writeFileSync(join(cwd, 'src/left.out'), '')
    const { stdout: template } = await server.cli(['snapshot', 'generate'])
    expect(template).toMatch(/^# .*\n[\s\S]*version: 1\n/)
    writeFileSync(
      join(cwd, 'caisson-snapshot.yml'),
      // biome-ignore lint/suspicious/noTemplateCurlyInString: what a build file says.
      'version: 1\nruntime: base\nfiles: [src, "!**/*.out"]\nenv: { GREETING: "${WHO}" }\n',
    )
    const build = ['snapshot', 'build', '.', '--env', 'WHO=you']
    expect(await server.cli(['snapshot', 'build', '.'], { cwd })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('caisson-snapshot.yml:4: env.GREETING needs WHO'),
    })
    expect((await server.cli([...build, '--dry-run'], { cwd })).stdout).toMatch(
      /^src\/run.sh .*executable\nproject of base/,
    )
    expect((await server.cli(['snapshot', 'list', '--json'])).stdout).toContain('"total": 0')
    const first = await server.cli(build, { cwd })
    expect(first.stderr).toMatch(
      /creating a sandbox of base\n[\s\S]*sending 1 file,[\s\S]*built project:latest/,
    )
    const again = await server.cli([...build, '--json'], { cwd })
    expect(JSON.parse(again.stdout)).toMatchObject({
      id: first.stdout.trim(),
      built: false,
      env: expect.arrayContaining(['GREETING']),
    })
    const other = await server.cli([...build, '--force', '--tag', 'v2', '--json'], { cwd })
    expect(JSON.parse(other.stdout)).toMatchObject({ built: true, tag: 'v2' })
    expect((await server.cli(['run', '--snapshot', 'project', '--', 'workspace/src/run.sh'])).stdout).toBe(
      'you\n',
    )
    expect((await json(server, 'list')).sandboxes).toEqual([])
    await server.cli(['snapshot', 'delete', 'project', 'project:v2', '--confirm'])
  })
})

test('a session is recorded, started by a command and deleted', async ({ server }) => {
  const create = [
    'session',
    'create',
    '--name',
    'chat',
    '--pause-after',
    '30m',
    '--env',
    'A=1',
    '--metadata',
    'b=2',
  ]
  const sandbox = (await server.cli(create)).stdout.trim()
  expect(sandbox).toMatch(/^sbx_/)
  expect(await json(server, 'session', 'get', 'chat')).toMatchObject({
    status: 'recorded',
    sandboxId: sandbox,
    pauseAfterMs: 1_800_000,
    metadata: { b: '2' },
  })
  const run = await server.cli([
    'exec',
    sandbox,
    '--',
    'sh',
    '-c',
    'echo "$A" > workspace/f; cat workspace/f',
  ])
  expect(run.stdout).toBe('1\n')
  expect((await server.cli(['session', 'ls', '--status', 'active'])).stdout).toMatch(/chat +active +sbx_/)
  expect((await server.cli(['session', 'rm', 'chat'])).stdout).toMatch(/^deleted ses_/)
  expect((await json(server, 'session', 'list')).total).toBe(0)
  expect((await json(server, 'session', 'list', '--all')).sessions).toMatchObject([{ status: 'deleted' }])
  expect(await json(server, 'get', sandbox)).toMatchObject({ status: 'terminated' })
})

test('runtimes are listed and shown', async ({ server }) => {
  expect((await server.cli(['runtime', 'list', '--limit', '100'])).stdout).toMatch(
    /ID +BUILT[\s\S]*\nbase:latest +yes/,
  )
  expect((await server.cli(['rt'])).stdout).toContain('base:latest')
  expect((await server.cli(['runtimes', 'get', 'base'])).stdout).toMatch(/id +base:latest/)
  expect(await server.cli(['rt', 'get', 'no-such'])).toMatchObject({ code: 1 })
  expect(await server.cli(['runtime', 'import', 'mine:1'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--from'),
  })
  expect((await json(server, 'runtime', 'build', 'base')).id).toBe('base:latest')
})

test('the disk is told of, and garbage is collected', async ({ server }) => {
  expect((await server.cli(['storage'])).stdout).toMatch(/^storage +\S+\n/)
  expect(await json(server, 'df')).toMatchObject({ storage: expect.any(String), images: expect.any(Array) })
  expect(await json(server, 'gc', '--dry-run')).toMatchObject({ dryRun: true, removed: expect.any(Array) })
})
