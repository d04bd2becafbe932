import { expect, test } from 'vitest'
import { serverOf } from './fake-server.test-kit.ts'
import { Sandbox } from './sandbox.ts'

const volume = { id: 'vol_1', name: 'data', usedBytes: 0 }
const file = { name: 'a b', path: '/in/a b', type: 'file', size: 2 }

test('volumes are made, listed, shown and deleted', async () => {
  const { client, asked, requests } = await serverOf({
    'POST /v1/volumes': volume,
    'GET /v1/volumes': { volumes: [volume], total: 1 },
    'GET /v1/volumes/data': volume,
  })
  const { volumes } = client
  expect(await volumes.create({ name: 'data', size: '1Gi' })).toEqual(volume)
  expect(await volumes.list({ sort: 'name', limit: 5 })).toEqual([volume])
  expect(await volumes.get('data')).toEqual(volume)
  await volumes.delete('data')
  expect(asked[0]?.body).toEqual({ name: 'data', size: '1Gi' })
  expect(requests().slice(1)).toEqual([
    'GET /v1/volumes?sort=name&limit=5',
    'GET /v1/volumes/data',
    'DELETE /v1/volumes/data',
  ])
})

test('files of a volume are touched by their paths', async () => {
  const base = '/v1/volumes/data/files'
  const { client, asked } = await serverOf({
    [`GET ${base}`]: { files: [file] },
    [`GET ${base}/stat`]: file,
    [`GET ${base}/content`]: 'hi',
    [`PUT ${base}/content`]: file,
    [`POST ${base}/directory`]: file,
    [`PATCH ${base}`]: file,
  })
  const files = client.volumes.files('data')
  expect(await files.list('/in', { depth: 2 })).toEqual([file])
  expect(await files.list()).toEqual([file])
  expect(await files.stat('/in/a b')).toEqual(file)
  expect(await files.readText('/in/a b', { offset: 1 })).toBe('hi')
  await files.write('/in/a b', 'text', { mode: 0o600, exclusive: true })
  await files.write('/in/c', new Blob(['blob']))
  await files.mkdir('/out', { parents: false, mode: 0o700 })
  await files.change('/out', { uid: 1000 })
  await files.remove('/out', { recursive: true })
  const encoded = encodeURIComponent('/in/a b')
  expect(asked.map(({ request, body }) => [request, body])).toEqual([
    [`GET ${base}?path=%2Fin&depth=2`, ''],
    [`GET ${base}?path=%2F`, ''],
    [`GET ${base}/stat?path=${encoded}`, ''],
    [`GET ${base}/content?path=${encoded}&offset=1`, ''],
    [`PUT ${base}/content?path=${encoded}&mode=384&exclusive=true`, 'text'],
    [`PUT ${base}/content?path=%2Fin%2Fc`, 'blob'],
    [`POST ${base}/directory`, { path: '/out', parents: false, mode: 0o700 }],
    [`PATCH ${base}`, { path: '/out', uid: 1000 }],
    [`DELETE ${base}?path=%2Fout&recursive=true`, ''],
  ])
})

test('a file of a volume that is not there says so', async () => {
  const { client } = await serverOf({
    'GET /v1/volumes/data/files/content': () => new Error('file_not_found'),
  })
  await expect(client.volumes.files('data').read('/x')).rejects.toMatchObject({ code: 'file_not_found' })
})

const sandbox = { id: 'sbx_1', name: 'work', allPorts: 'public', resources: { granted: {} } }

test('a sandbox tells what it used, and attributes of its files', async () => {
  const samples = [{ at: '2026-01-01T00:00:00Z', memoryBytes: 1 }]
  const { client, asked, requests } = await serverOf({
    'GET /v1/sandboxes/work': sandbox,
    'GET /v1/sandboxes/sbx_1/metrics': { samples },
    'GET /v1/sandboxes/sbx_1/files/stat': { attributes: { a: 'b' } },
    'GET /v1/sandboxes/sbx_1/files': { files: [] },
  })
  const handle = await Sandbox.connect('work', { client })
  expect(await handle.metrics({ start: new Date(0), end: '2026-01-01T00:00:00Z' })).toEqual(samples)
  expect((await handle.files.stat('f', { attributes: true })).attributes).toEqual({ a: 'b' })
  await handle.files.list('.', { attributes: true })
  await handle.files.setAttributes('f', { a: 'b', c: null }, { user: 'root' })
  expect(requests().slice(1, 4)).toEqual([
    'GET /v1/sandboxes/sbx_1/metrics?start=1970-01-01T00%3A00%3A00.000Z&end=2026-01-01T00%3A00%3A00Z',
    'GET /v1/sandboxes/sbx_1/files/stat?path=f&attributes=true',
    'GET /v1/sandboxes/sbx_1/files?path=.&attributes=true',
  ])
  expect(asked[4]).toMatchObject({
    request: 'POST /v1/sandboxes/sbx_1/files/attributes',
    body: { path: 'f', attributes: { a: 'b', c: null }, user: 'root' },
  })
})

test('a port that is exposed with all others has an address, without the token of its link', async () => {
  const url = 'http://80-sbx-1.localhost:4700/'
  const { client } = await serverOf({
    'GET /v1/sandboxes/work': sandbox,
    'GET /v1/sandboxes/sbx_1/ports': { ports: [] },
    'POST /v1/sandboxes/sbx_1/ports/80/links': { url: `${url}?caisson_token=secret`, token: 'secret' },
  })
  expect(await (await Sandbox.connect('work', { client })).url(80)).toBe(url)
})

test('sandboxes are found by several statuses, their template and their age', async () => {
  const { client, requests } = await serverOf({ 'GET /v1/sandboxes': { sandboxes: [], total: 0 } })
  const createdAfter = new Date(0)
  await Sandbox.list({ status: ['idle', 'running'], template: 'web', createdAfter }, { client })
  await Sandbox.list({ status: 'idle' }, { client })
  expect(requests()).toEqual([
    'GET /v1/sandboxes?template=web&status=idle%2Crunning&createdAfter=1970-01-01T00%3A00%3A00.000Z',
    'GET /v1/sandboxes?status=idle',
  ])
})
