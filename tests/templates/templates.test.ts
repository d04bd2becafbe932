import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import {
  begin,
  build,
  cannotBuild,
  ended,
  garbage,
  nothingIsOrphaned,
  putFiles,
  startBuilding,
  text,
  upload,
} from './world.ts'

const base = { runtime: 'base' }
const run = (command: string, more = {}) => ({ type: 'run' as const, command, ...more })

describe.skipIf(cannotBuild !== null)('templates', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startBuilding({ config: { build: { maxUpload: 1024 * 1024 } } })
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  async function make(template: string): Promise<Sandbox> {
    return Sandbox.create({ client, template })
  }

  test('are built in steps, each on what those before it have left', async () => {
    const files = await upload(client, { 'src/hello.txt': 'hello' })
    const steps = [
      run('id -un; pwd'),
      { type: 'env' as const, env: { COLOR: 'red', SIZE: 'big' } },
      { type: 'env' as const, env: { COLOR: 'blue' } },
      { type: 'workdir' as const, path: '/srv/app' },
      { type: 'copy' as const, files, source: 'src', target: '.' },
      { type: 'workdir' as const, path: 'inner' },
      run('pwd; echo "$COLOR $SIZE"; cat ../hello.txt; echo; echo made > made.txt'),
      { type: 'user' as const, user: 'root' },
      run('id -un; echo oops >&2'),
      run('id -un', { user: 'agent' }),
    ]
    const built = await build(client, 'steps', { from: base, steps })
    expect(built).toMatchObject({ status: 'ready', reason: null, tags: ['latest'] })
    const of = (step: number) =>
      built.entries.filter((entry) => entry.step === step).map(({ level, message }) => [level, message])
    expect(of(1).slice(1)).toEqual([
      ['info', 'agent'],
      ['info', '/home/agent'],
    ])
    expect(of(7).slice(1)).toEqual([
      ['info', '/srv/app/inner'],
      ['info', 'blue big'],
      ['info', 'hello'],
    ])
    expect(of(9).slice(1)).toEqual([
      ['info', 'root'],
      ['warn', 'oops'],
    ])
    expect(of(10).slice(1)).toEqual([['info', 'agent']])

    await using box = await make('steps')
    expect(await text(box, 'pwd; id -un; echo $COLOR $SIZE; cat made.txt; ls -A /var/tmp')).toBe(
      '/srv/app/inner\nroot\nblue big\nmade',
    )
    const { id } = await client.call('getTemplate', { template: 'steps' })
    expect(await client.call('getSandbox', { id: box.id })).toMatchObject({
      templateId: id,
      runtime: 'base:latest',
      workdir: '/srv/app/inner',
      startCommand: null,
    })
    expect(await client.call('getTemplate', { template: 'steps' })).toMatchObject({ sandboxes: 1 })
  })

  test('what was built is taken from an earlier build, as far as it is the same', async () => {
    const steps = [
      run('date +%N > /tmp/first'),
      { type: 'env' as const, env: { A: '1' } },
      run('date +%N > /tmp/second'),
    ]
    const marks = async (tag: string) => {
      await using box = await make(`cached:${tag}`)
      return (await text(box, 'cat /tmp/first /tmp/second')).split('\n')
    }
    const cached = (told: string[]) => told.filter((message) => message.includes('CACHED')).length
    await build(client, 'cached', { from: base, steps }, ['one'])
    const same = await build(client, 'cached', { from: base, steps }, ['two'])
    const third = await build(
      client,
      'cached',
      { from: base, steps: [...steps.slice(0, 2), run('date +%N > /tmp/second #')] },
      ['three'],
    )
    const forced = await build(
      client,
      'cached',
      { from: base, steps: [steps[0]!, steps[1]!, { ...run('date +%N > /tmp/second'), force: true }] },
      ['four'],
    )
    const anew = await build(client, 'cached', { from: base, steps, force: true }, ['five'])
    expect([same, third, forced, anew].map(({ told }) => cached(told))).toEqual([3, 2, 2, 0])
    const [one, two, three, four, five] = await Promise.all(
      ['one', 'two', 'three', 'four', 'five'].map(marks),
    )
    expect(two).toEqual(one)
    expect([three![0], four![0]]).toEqual([one![0], one![0]])
    expect(new Set([one![1], three![1], four![1], five![1]]).size).toBe(4)
    expect(five![0]).not.toBe(one![0])
    expect(await garbage(client)).toEqual([])
  })

  test('fail with the step, what it said, and leave nothing', async () => {
    const failed = await build(client, 'failing', {
      from: base,
      steps: [run('true'), run('echo first; false | cat; echo no')],
    })
    expect(failed).toMatchObject({
      status: 'failed',
      reason: { step: 2, message: 'The command exited with code 1. Its last line: first' },
    })
    expect(failed.entries.at(-1)).toMatchObject({ level: 'error', step: 2, message: failed.reason?.message })
    await expect(make('failing')).rejects.toMatchObject({ code: 'template_not_found' })
    expect((await client.call('getTemplate', { template: 'failing' })).tags).toEqual([])
    await nothingIsOrphaned(server, client, { living: true })
  })

  test('are made from templates and snapshots, which they inherit from', async () => {
    await build(client, 'lower', {
      from: base,
      steps: [
        { type: 'workdir', path: '/low' },
        { type: 'env', env: { LOW: '1' } },
        run('echo low > low.txt'),
        { type: 'user', user: 'root' },
      ],
      startCommand: 'exec sleep 1234',
    })
    const upper = await build(client, 'upper', {
      from: { template: 'lower' },
      steps: [run('id -un; pwd; cat low.txt; echo $LOW')],
    })
    expect(upper.told).toEqual(expect.arrayContaining(['root', '/low', 'low', '1', 'START exec sleep 1234']))
    await using box = await make('upper')
    expect(await text(box, 'until pgrep -f "^sleep 1234" >/dev/null; do sleep 0.05; done; cat low.txt')).toBe(
      'low',
    )
    await text(box, 'echo more > more.txt')
    await client.call('createSnapshot', { id: box.id, name: 'of-upper' })
    const third = await build(client, 'third', {
      from: { snapshot: 'of-upper' },
      steps: [run('cat more.txt')],
    })
    expect(third.told).toEqual(expect.arrayContaining(['more', 'START exec sleep 1234']))
  })

  test('can have a user of their own, who is made with a home', async () => {
    const steps = [
      run('id -un; pwd; sudo id -un'),
      { type: 'user' as const, user: 'other' },
      run('id -un; pwd; echo ~'),
    ]
    const built = await build(client, 'peopled', { from: base, user: 'user', steps })
    expect(built.told.filter((message) => !message.startsWith('['))).toEqual(
      expect.arrayContaining(['user', '/home/user', 'root', 'other', '/home/other']),
    )
    const again = await build(client, 'peopled', { from: base, user: 'user', steps: steps.slice(0, 1) }, [
      'first',
    ])
    expect(again.told[0]).toContain('CACHED')
    await using box = await make('peopled:first')
    expect(await text(box, 'id -un; pwd; sudo id -un; touch ~/mine')).toBe('user\n/home/user\nroot')
    const empty = await build(client, 'empty', { from: base, user: 'user' })
    expect(empty.reason).toBeNull()
    await using other = await make('empty')
    expect(await text(other, 'id -un; pwd')).toBe('user\n/home/user')
  })

  test('tags move, and mean a build', async () => {
    const first = await build(client, 'tagged', { from: base, steps: [run('echo 1 > /tmp/n')] })
    const second = await build(client, 'tagged', { from: base, steps: [run('echo 2 > /tmp/n')] }, [
      'latest',
      'v2',
    ])
    const number = async (reference: string) => {
      await using box = await make(reference)
      return await text(box, 'cat /tmp/n')
    }
    expect(await number('tagged')).toBe('2')
    await client.call('tagTemplate', { template: 'tagged', build: first.id, tags: ['latest', 'old'] })
    const { id, tags } = await client.call('getTemplate', { template: 'tagged' })
    expect(tags.map(({ tag, buildId }) => [tag, buildId]).sort()).toEqual([
      ['latest', first.id],
      ['old', first.id],
      ['v2', second.id],
    ])
    expect(await Promise.all(['tagged', 'tagged:v2', `${id}:old`, id].map(number))).toEqual([
      '1',
      '2',
      '1',
      '1',
    ])
    await client.call('tagTemplate', { template: id, build: 'v2', tags: ['latest'] })
    await client.call('untagTemplate', { template: id, tags: ['old', 'none'] })
    expect(await number('tagged')).toBe('2')
    await expect(make('tagged:old')).rejects.toMatchObject({ code: 'template_not_found' })
    const other = await build(client, 'other', { from: base })
    await expect(
      client.call('tagTemplate', { template: id, build: other.id, tags: ['x'] }),
    ).rejects.toMatchObject({ code: 'build_not_found' })
  })

  test('are deleted with what was saved of them; their sandboxes go on', async () => {
    await build(client, 'gone', { from: base, steps: [run('echo kept > ~/kept')] })
    await using box = await make('gone')
    await client.call('deleteTemplate', { template: 'gone' })
    expect(await text(box, 'cat ~/kept')).toBe('kept')
    await box.pause({ depth: 'filesystem' })
    expect(await text(box, 'cat ~/kept')).toBe('kept')
    await expect(make('gone')).rejects.toMatchObject({ code: 'template_not_found' })
    await box.delete()
    await nothingIsOrphaned(server, client, { living: true })
  })

  test('a build is ended when that is asked for, at work or in the queue', async () => {
    const steps = [run('echo here; sleep 1000')]
    const all = await Promise.all(
      ['w1', 'w2', 'w3'].map((name) => begin(client, name, { from: base, steps, force: true })),
    )
    const [one, two, queued] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
    await expect(client.call('startBuild', { build: one.id, from: base })).rejects.toMatchObject({
      code: 'build_state',
    })
    for (const { id } of [queued, one, two]) {
      const cancelled = await client.call('cancelBuild', { build: id })
      expect(cancelled).toMatchObject({ status: 'failed', reason: { message: 'It was cancelled.' } })
    }
    expect(await client.call('cancelBuild', { build: one.id })).toMatchObject({ status: 'failed' })
    const { build: unstarted } = await client.call('createTemplate', { name: 'w4' })
    expect(await client.call('cancelBuild', { build: unstarted.id })).toMatchObject({ status: 'failed' })
    expect((await build(client, 'w5', { from: base })).status).toBe('ready')
    await nothingIsOrphaned(server, client, { living: true })
  })

  test('refuse what cannot be built before anything is started', async () => {
    const { build: waiting } = await client.call('createTemplate', { name: 'refused' })
    const start = (input: object) => client.call('startBuild', { build: waiting.id, from: base, ...input })
    const files = createHash('sha256').update('nobody').digest('hex')
    const cases: [object, string][] = [
      [{ from: {} }, 'invalid_request'],
      [{ from: { runtime: 'base', template: 'x' } }, 'invalid_request'],
      [{ from: { runtime: 'nonesuch' } }, 'runtime_not_found'],
      [{ from: { template: 'nonesuch' } }, 'template_not_found'],
      [{ from: { snapshot: 'nonesuch' } }, 'snapshot_not_found'],
      [{ from: { image: '../../etc' } }, 'image_invalid'],
      [{ from: { image: '127.0.0.1:5000/x' } }, 'not_supported'],
      [{ steps: [{ type: 'copy', files, source: '.', target: '/' }] }, 'file_not_found'],
      [{ steps: [{ type: 'copy', files, source: '../x', target: '/' }] }, 'invalid_request'],
      [{ steps: [{ type: 'env', env: { CAISSON_X: '1' } }] }, 'invalid_request'],
    ]
    for (const [input, code] of cases)
      await expect(start(input), JSON.stringify(input)).rejects.toMatchObject({ code })
    expect((await ended(client, (await start({})).id)).status).toBe('ready')
    await expect(client.call('getBuild', { build: 'bld_none' })).rejects.toMatchObject({
      code: 'build_not_found',
    })
    const few = client.call('createTemplate', { name: 'few', resources: { memory: '1Ki' } })
    await expect(few).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('are what sessions and single commands can be made from, too', async () => {
    const startCommand = 'echo begun > /tmp/begun; exec sleep 1000'
    const readyCommand = 'test -e /tmp/begun'
    await build(client, 'for-sessions', {
      from: base,
      steps: [run('echo kept > ~/kept')],
      startCommand,
      readyCommand,
    })
    const sandbox = { template: 'for-sessions' }
    const session = await client.call('createSession', { sandbox })
    const box = await Sandbox.connect(session.sandboxId, { client })
    expect(await text(box, 'cat ~/kept /tmp/begun')).toBe('kept\nbegun')
    await client.call('deleteSession', { session: session.id })
    const once = await client.stream('run', { sandbox, execution: { argv: ['cat', '/tmp/begun'] } })
    let told = ''
    for await (const records of once) for (const record of records) told += JSON.stringify(record)
    expect(told).toContain('"exitCode":0')
    await nothingIsOrphaned(server, client, { living: true })
  })

  test('exclude what else a sandbox could be made from', async () => {
    await build(client, 'alone', { from: base })
    for (const more of [{ runtime: 'base' }, { snapshot: 'x' }, { dependencies: ['jq'] }])
      await expect(client.call('createSandbox', { template: 'alone', ...more })).rejects.toMatchObject({
        code: 'not_supported',
      })
  })

  test('grant what they say to those who ask for nothing', async () => {
    const { build: waiting } = await client.call('createTemplate', {
      name: 'small',
      resources: { memory: '256Mi', cpu: '500m' },
    })
    await ended(client, (await client.call('startBuild', { build: waiting.id, from: base })).id)
    const granted = async (resources = {}) => {
      const { id, resources: found } = await client.call('createSandbox', { template: 'small', resources })
      const [copy] = (await client.call('forkSandbox', { id })).sandboxes
      expect(copy?.resources.granted).toEqual(found.granted)
      await client.call('deleteSandbox', { id: copy!.id })
      await client.call('deleteSandbox', { id })
      return found.granted
    }
    expect(await granted()).toMatchObject({ memoryBytes: 256 * 2 ** 20, cpuMillis: 500 })
    expect(await granted({ memory: '512Mi' })).toMatchObject({ memoryBytes: 512 * 2 ** 20, cpuMillis: 500 })
  })

  test('uploads are bounded, and replaced as a whole', async () => {
    const large = randomBytes(1024 * 1024 + 1)
    const hash = createHash('sha256').update(large).digest('hex')
    await expect(putFiles(client, hash, large)).rejects.toMatchObject({ code: 'payload_too_large' })
    expect(await client.call('hasBuildFiles', { hash })).toEqual({ present: false })
    const directory = join(server.dataDir, 'build-files')
    expect(existsSync(directory) && readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([])
  })

  /** No sandbox, nothing of one, nothing that is nobody's. */
})
