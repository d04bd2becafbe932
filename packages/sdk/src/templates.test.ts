import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Answers, serverOf } from './fake-server.test-kit.ts'

const template = { id: 'tpl_1', name: 'web', tags: [] }
const build = { id: 'bld_1', templateId: 'tpl_1', tags: ['latest'], reason: null }
const entry = (message: string) => ({ at: '2026-01-01T00:00:00Z', level: 'info', step: 1, message })

/** A server on which a build ends after some looks at it. */
const building = (ended: object, log: object[], looks = 2, more: Answers = {}): Answers => ({
  'POST /v1/templates': { template, build: { ...build, status: 'waiting' } },
  'POST /v1/builds/bld_1/start': { ...build, status: 'building' },
  'GET /v1/builds/bld_1': () => (looks-- > 0 ? { ...build, status: 'building' } : { ...build, ...ended }),
  'GET /v1/builds/bld_1/log': ({ request }: { request: string }) => ({
    entries: log.slice(Number(/offset=(\d+)/.exec(request)?.[1]), looks > 0 ? 1 : undefined),
  }),
  'GET /v1/templates/tpl_1': template,
  ...more,
})

async function project(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'caisson-template-'))
  onTestFinished(() => rm(root, { recursive: true }))
  await mkdir(join(root, 'src'))
  await writeFile(join(root, 'src/a.txt'), 'a')
  await writeFile(join(root, 'src/.env'), 'b')
  await writeFile(join(root, 'src/c.log'), 'c')
  await symlink('/etc/passwd', join(root, 'src/link'))
  return root
}

test('a build is followed to its end, and its log is told once, in order', async () => {
  const log = ['one', 'two', 'three'].map(entry)
  const { client, asked } = await serverOf(building({ status: 'ready' }, log))
  const told: string[] = []
  const made = await client.templates.build(
    {
      name: 'web',
      tags: ['v1'],
      from: { runtime: 'base' },
      steps: [{ type: 'run', command: 'true' }],
      startCommand: 'serve',
      user: 'app',
    },
    { onLog: ({ message }) => told.push(message) },
  )
  expect(made).toEqual({ template, build: { ...build, status: 'ready' } })
  expect(told).toEqual(['one', 'two', 'three'])
  expect(asked.slice(0, 2).map(({ body }) => body)).toEqual([
    { name: 'web', tags: ['v1'] },
    {
      from: { runtime: 'base' },
      steps: [{ type: 'run', command: 'true' }],
      startCommand: 'serve',
      user: 'app',
    },
  ])
})

test('a build that fails says where and why, with the end of its log', async () => {
  const log = Array.from({ length: 30 }, (_, at) => entry(`line ${at}`))
  const ended = { status: 'failed', reason: { message: 'exit 1.', step: 2 } }
  const { client } = await serverOf(building(ended, log, 0))
  const failed = client.templates.build({ name: 'web', from: { runtime: 'base' } })
  await expect(failed).rejects.toMatchObject({
    code: 'build_failed',
    details: { reason: 'step 2: exit 1', log: expect.stringMatching(/^line 10\n[\s\S]*line 29$/) },
  })
})

test('an abort cancels the build', async () => {
  const controller = new AbortController()
  const { client, requests } = await serverOf(
    building({ status: 'ready' }, [entry('one')], 1000, { 'DELETE /v1/builds/bld_1': build }),
  )
  const aborted = client.templates.build(
    { name: 'web', from: { runtime: 'base' } },
    { signal: controller.signal, onLog: () => controller.abort() },
  )
  await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
  expect(requests().at(-1)).toBe('DELETE /v1/builds/bld_1')
})

test('a build that can not be started is not left waiting', async () => {
  const refused = () => new Error('runtime_not_found')
  const { client, requests } = await serverOf(
    building({}, [], 0, { 'POST /v1/builds/bld_1/start': refused, 'DELETE /v1/builds/bld_1': build }),
  )
  const made = client.templates.build({ name: 'web', from: { runtime: 'none' } })
  await expect(made).rejects.toMatchObject({ code: 'runtime_not_found' })
  expect(requests().at(-1)).toBe('DELETE /v1/builds/bld_1')
})

test('files of copy steps are sent under their hash, once, hidden ones as well and ignored ones not', async () => {
  const known = new Set<string>()
  const sent: string[] = []
  const { client, asked } = await serverOf(building({ status: 'ready' }, [], 0))
  const root = await project()
  const call = client.call.bind(client)
  client.call = ((operation: string, input: { hash: string }, options: object) =>
    operation === 'hasBuildFiles'
      ? Promise.resolve({ present: known.has(input.hash) })
      : call(operation as 'getServer', input as object, options)) as typeof client.call
  const upload = client.upload.bind(client)
  client.upload = (async (operation: string, input: { hash: string }, body: AsyncIterable<Uint8Array>) => {
    if (operation !== 'putBuildFiles') return upload(operation as 'writeFile', input as never, body)
    const parts: Uint8Array[] = []
    for await (const part of body) parts.push(part)
    sent.push(Buffer.concat(parts).toString('latin1'))
    known.add(input.hash)
    return undefined
  }) as typeof client.upload
  const definition = {
    name: 'web',
    from: { runtime: 'base' },
    steps: [
      { type: 'copy' as const, source: 'src', target: '/app/', user: 'root', mode: 0o600 },
      { type: 'run' as const, command: 'true' },
      { type: 'copy' as const, source: './src/', target: '/again/' },
    ],
    ignore: ['**/*.log'],
  }
  await client.templates.build(definition, { directory: root })
  await client.templates.build(definition, { directory: root })
  expect(sent).toHaveLength(1)
  for (const name of ['src/a.txt', 'src/.env', 'src/link']) expect(sent[0]).toContain(name)
  expect(sent[0]).not.toMatch(/c\.log|root:x/)
  const started = asked.find(({ request }) => request.endsWith('/start'))
  const [hash] = known
  expect((started?.body as { steps: object[] } | undefined)?.steps).toEqual([
    { type: 'copy', source: 'src', target: '/app/', user: 'root', mode: 0o600, files: hash },
    { type: 'run', command: 'true' },
    { type: 'copy', source: './src/', target: '/again/', files: hash },
  ])
})

test.each(['nothing', '../etc', '/etc', '!src', '*.md'])(
  'a step that copies "%s" is refused',
  async (source) => {
    const { client, requests } = await serverOf({})
    const made = client.templates.build(
      { name: 'web', from: { runtime: 'base' }, steps: [{ type: 'copy', source, target: '/app' }] },
      { directory: await project() },
    )
    await expect(made).rejects.toMatchObject({ code: 'invalid_request' })
    expect(requests()).toEqual([])
  },
)

test('templates are listed, tagged and deleted, and builds are shown', async () => {
  const { client, asked } = await serverOf({
    'GET /v1/templates': { templates: [template], total: 1 },
    'PUT /v1/templates/web/tags': template,
    'POST /v1/templates/web/untag': template,
    'GET /v1/builds/bld_1': build,
    'GET /v1/builds/bld_1/log': { entries: [entry('one')] },
    'DELETE /v1/builds/bld_1': build,
  })
  const { templates } = client
  expect(await templates.list({ sort: 'created' })).toEqual([template])
  await templates.tag('web', 'latest', ['v1', 'v2'])
  await templates.untag('web', ['v1'])
  await templates.delete('web')
  expect(await templates.builds.get('bld_1')).toEqual(build)
  expect(await templates.builds.log('bld_1', { offset: 3 })).toEqual([entry('one')])
  expect(await templates.builds.cancel('bld_1')).toEqual(build)
  expect(asked.slice(1, 6).map(({ request, body }) => [request, body])).toEqual([
    ['PUT /v1/templates/web/tags', { build: 'latest', tags: ['v1', 'v2'] }],
    ['POST /v1/templates/web/untag', { tags: ['v1'] }],
    ['DELETE /v1/templates/web', ''],
    ['GET /v1/builds/bld_1', ''],
    ['GET /v1/builds/bld_1/log?offset=3', ''],
  ])
})
