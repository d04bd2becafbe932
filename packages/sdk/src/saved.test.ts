import { describe, expect, test } from 'vitest'
import { serverOf } from './fake-server.test-kit.ts'
import { getSession } from './get-session.ts'
import { Sandbox } from './sandbox.ts'

const sandbox = { id: 'sbx_1', name: 'work', status: 'idle', resources: { granted: {} } }
const snapshot = { id: 'snp_1', name: 'ml', tag: 'latest' }
const session = { id: 'ses_1', name: 'chat', sandboxId: 'sbx_1', status: 'recorded' }

describe('a sandbox', () => {
  const answers = {
    'GET /v1/sandboxes/work': sandbox,
    'POST /v1/sandboxes/sbx_1/pause': { ...sandbox, status: 'suspended' },
    'POST /v1/sandboxes/sbx_1/resume': sandbox,
    'POST /v1/sandboxes/sbx_1/fork': { sandboxes: [{ ...sandbox, id: 'sbx_2' }] },
    'POST /v1/sandboxes/sbx_1/checkpoints': { id: 'ckpt_1' },
    'GET /v1/sandboxes/sbx_1/checkpoints': { checkpoints: [{ id: 'ckpt_1' }], total: 1 },
    'POST /v1/sandboxes/sbx_1/checkpoints/before/restore': { ...sandbox, status: 'creating' },
    'POST /v1/sandboxes/sbx_1/snapshots': snapshot,
  }

  test('is paused and resumed, and knows it', async () => {
    const { client, asked } = await serverOf(answers)
    const handle = await Sandbox.connect('work', { client })
    await handle.pause({ depth: 'workspace' })
    expect(handle.info.status).toBe('suspended')
    await handle.pause()
    await handle.resume({ ttl: '2h' })
    expect(handle.info.status).toBe('idle')
    expect(asked.slice(1).map(({ body }) => body)).toEqual([{ depth: 'workspace' }, {}, { ttl: '2h' }])
  })

  test('is forked once, however often the request is sent; the copies are owned', async () => {
    const { client, asked, requests } = await serverOf(answers)
    const handle = await Sandbox.connect('work', { client })
    const [copy, ...others] = await handle.fork({ count: 1, memory: true, name: 'try' })
    expect(others).toEqual([])
    expect(asked[1]).toMatchObject({
      body: { count: 1, memory: true, name: 'try' },
      key: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    await copy![Symbol.asyncDispose]()
    await handle[Symbol.asyncDispose]()
    expect(requests().filter((request) => request.startsWith('DELETE'))).toEqual([
      'DELETE /v1/sandboxes/sbx_2',
    ])
  })

  test('has checkpoints; its record is that after a restore', async () => {
    const { client, asked, requests } = await serverOf(answers)
    const handle = await Sandbox.connect('work', { client })
    expect(await handle.checkpoints.create('before')).toEqual({ id: 'ckpt_1' })
    await handle.checkpoints.create()
    expect(asked.slice(1).map(({ body }) => body)).toEqual([{ name: 'before' }, {}])
    expect(await handle.checkpoints.list({ limit: 5 })).toEqual([{ id: 'ckpt_1' }])
    await handle.checkpoints.restore('before')
    expect(handle.info.status).toBe('creating')
    await handle.checkpoints.delete('before')
    expect(requests().slice(3)).toEqual([
      'GET /v1/sandboxes/sbx_1/checkpoints?limit=5',
      'POST /v1/sandboxes/sbx_1/checkpoints/before/restore',
      'DELETE /v1/sandboxes/sbx_1/checkpoints/before',
    ])
  })

  test('is saved as a snapshot', async () => {
    const { client, asked } = await serverOf(answers)
    const handle = await Sandbox.connect('work', { client })
    expect(await handle.snapshot({ name: 'ml', tag: null, env: true })).toEqual(snapshot)
    expect(asked[1]?.body).toEqual({ name: 'ml', tag: null, env: true })
  })
})

test('snapshots are referred to as people write them', async () => {
  const { client, asked, requests } = await serverOf({
    'GET /v1/snapshots': { snapshots: [snapshot], total: 1 },
    'GET /v1/snapshots/ml%3Av2': snapshot,
    'GET /v1/snapshots/ml%3Av2/lineage': { ancestors: [], children: [], sandboxes: [] },
    'GET /v1/snapshots/ml%3Av2/archive': 'the bytes of the file',
    'PUT /v1/snapshots/ml/tag': snapshot,
    'POST /v1/snapshots/import': snapshot,
  })
  const { snapshots } = client
  expect(await snapshots.list({ sort: 'size', public: true })).toEqual([snapshot])
  expect(await snapshots.get('ml:v2')).toEqual(snapshot)
  expect((await snapshots.lineage('ml:v2')).children).toEqual([])
  const parts: Uint8Array[] = []
  for await (const part of snapshots.export('ml:v2')) parts.push(part)
  expect(Buffer.concat(parts).toString()).toBe('the bytes of the file')
  await snapshots.tag('ml', null)
  await snapshots.import(new Blob(['file']), { name: 'other' })
  await snapshots.delete('ml:v2')
  expect(requests()[0]).toBe('GET /v1/snapshots?sort=size&public=true')
  expect(asked.slice(4).map(({ request, body }) => [request, body])).toEqual([
    ['PUT /v1/snapshots/ml/tag', { tag: null }],
    ['POST /v1/snapshots/import?name=other', 'file'],
    ['DELETE /v1/snapshots/ml%3Av2', ''],
  ])
})

describe('sessions', () => {
  test('are recorded with their sandbox, and give it', async () => {
    const { client, asked } = await serverOf({
      'POST /v1/sessions': session,
      'GET /v1/sandboxes/sbx_1': sandbox,
      'GET /v1/sessions': { sessions: [session], total: 1 },
      'DELETE /v1/sessions/ses_1': { ...session, status: 'deleted' },
    })
    const made = await client.sessions.create({
      name: 'chat',
      pauseAfter: '30m',
      sandbox: { runtime: 'base', files: { a: Uint8Array.of(0) } },
    })
    expect(asked[0]?.body).toEqual({
      name: 'chat',
      pauseAfter: '30m',
      sandbox: { runtime: 'base', files: [{ path: 'a', content: 'AA==', encoding: 'base64' }] },
    })
    expect(asked[0]?.key).toBeDefined()
    expect((await made.sandbox()).id).toBe('sbx_1')
    const [listed] = await client.sessions.list({ metadata: { a: 'b' } })
    expect(asked.at(-1)?.request).toBe(`GET /v1/sessions?metadata=${encodeURIComponent('{"a":"b"}')}`)
    await listed!.delete()
    expect(listed!.info.status).toBe('deleted')
  })

  test('of a name are recorded when there is none', async () => {
    let there = false
    const { client, requests } = await serverOf({
      'GET /v1/sessions/chat': () => (there ? session : new Error('session_not_found')),
      'POST /v1/sessions': () => {
        there = true
        return session
      },
    })
    expect((await getSession('chat', { client })).id).toBe('ses_1')
    expect((await getSession('chat', { client })).id).toBe('ses_1')
    expect(requests()).toEqual(['GET /v1/sessions/chat', 'POST /v1/sessions', 'GET /v1/sessions/chat'])
  })

  test('that another records meanwhile are the same', async () => {
    let asked = 0
    const { client } = await serverOf({
      'GET /v1/sessions/chat': () => (asked++ === 0 ? new Error('session_not_found') : session),
      'POST /v1/sessions': () => new Error('name_taken'),
    })
    expect((await getSession('chat', { client })).id).toBe('ses_1')
  })
})

describe('runtimes', () => {
  const lines = (...values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
  const runtime = { name: 'python:3.13', built: true }

  test('are built and imported with their steps told', async () => {
    const { client, asked } = await serverOf({
      'POST /v1/runtimes/python%3A3.13/build': lines({ step: 'one' }, { step: 'two' }, { runtime }),
      'POST /v1/runtimes/import': lines({ runtime }),
    })
    const steps: string[] = []
    const built = await client.runtimes.build('python:3.13', {
      force: true,
      onStep: (step) => steps.push(step),
    })
    expect(built).toEqual(runtime)
    expect(steps).toEqual(['one', 'two'])
    await client.runtimes.import('alpine:3', { reference: 'localhost:5000/alpine', insecure: true })
    await client.runtimes.import('alpine:3', 'archive')
    expect(asked.map(({ request, body }) => [request, body])).toEqual([
      ['POST /v1/runtimes/python%3A3.13/build?force=true', ''],
      ['POST /v1/runtimes/import?name=alpine%3A3&reference=localhost%3A5000%2Falpine&insecure=true', ''],
      ['POST /v1/runtimes/import?name=alpine%3A3', 'archive'],
    ])
  })

  test('whose build fails say why', async () => {
    const error = { code: 'build_failed', message: 'apt said no.' }
    const { client } = await serverOf({
      'POST /v1/runtimes/a/build': lines({ step: 'one' }, { error }),
      'POST /v1/runtimes/b/build': lines({ step: 'one' }),
      'POST /v1/runtimes/c/build': 'oops\n',
    })
    await expect(client.runtimes.build('a')).rejects.toMatchObject(error)
    await expect(client.runtimes.build('b')).rejects.toMatchObject({ code: 'connection_lost' })
    await expect(client.runtimes.build('c')).rejects.toMatchObject({ code: 'connection_lost' })
  })
})

test('garbage is collected when that is meant', async () => {
  const answer = { dryRun: true, freedBytes: 0, removed: [] }
  const { client, asked } = await serverOf({ 'POST /v1/storage/gc': answer })
  expect(await client.storage.gc({ dryRun: true })).toEqual(answer)
  await client.storage.gc()
  expect(asked.map(({ body }) => body)).toEqual([{ dryRun: true }, { dryRun: false }])
})
