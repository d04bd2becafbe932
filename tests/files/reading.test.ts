import { readFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { test } from '../fixture.ts'
import { FileDoor, open } from './door.ts'

describe('ranges', () => {
  const content = '0123456789'
  const cases: [range: string, status: number, body: string, contentRange?: string][] = [
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=4-', 206, '456789', 'bytes 4-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-30', 206, content, 'bytes 0-9/10'],
    ['bytes=9-9', 206, '9', 'bytes 9-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=99-100', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=0-1,3-4', 200, content],
    ['bytes=5-2', 200, content],
    ['bytes=x-', 200, content],
    ['bytes=', 200, content],
    ['lines=0-1', 200, content],
    ['bytes=99999999999999999999-', 200, content],
  ]
  test.for(cases)('%s', async ([range, status, body, contentRange], { server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', content)
    const reply = await door.get('/content', { path: 'f' }, { headers: { range } })
    expect([reply.status, reply.body.toString(), reply.headers['content-range']]).toEqual([
      status,
      body,
      contentRange,
    ])
    expect(reply.headers['content-length']).toBe(String(body.length))
  })

  test('conditions', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', content)
    const read = (headers: Record<string, string>) => door.get('/content', { path: 'f' }, { headers })
    const { headers } = await read({})
    const etag = headers.etag as string
    expect([etag, headers['accept-ranges']]).toEqual([expect.stringMatching(/^"[0-9a-f-]+"$/), 'bytes'])
    const unchanged = await read({ 'if-none-match': `"other", ${etag}` })
    expect([unchanged.status, unchanged.body.length, unchanged.headers.etag]).toEqual([304, 0, etag])
    expect((await read({ 'if-none-match': '"other"' })).status).toBe(200)
    expect((await read({ range: 'bytes=0-1', 'if-range': etag })).status).toBe(206)
    expect((await read({ range: 'bytes=-2', 'if-range': '"other"' })).body.toString()).toBe(content)
    await door.write('f', '9876543210')
    expect((await read({ 'if-none-match': etag })).status).toBe(200)
    expect((await read({ range: 'bytes=0-1', 'if-range': etag })).status).toBe(200)
  })

  test('nothing has a range where there is no size', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('empty', '')
    const range = { headers: { range: 'bytes=0-9' } }
    expect((await door.get('/content', { path: 'empty' }, range)).status).toBe(200)
    const proc = await door.get('/content', { path: '/proc/meminfo' }, range)
    expect([proc.status, proc.body.toString()]).toEqual([200, expect.stringContaining('MemTotal:')])
  })

  test('offset and length are a part of their own', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', content)
    const { status, body } = await door.get('/content', { path: 'f', offset: 2, length: 3 })
    expect([status, body.toString()]).toEqual([200, '234'])
  })

  test('reads that are not taken are given back', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', content)
    for (let i = 0; i < 600; i++) {
      const headers = i % 2 === 0 ? { range: 'bytes=50-' } : { 'if-none-match': '*' }
      expect((await door.get('/content', { path: 'f' }, { headers })).status).toBe(i % 2 === 0 ? 416 : 304)
    }
    const { body } = await open(server, 'GET', `/v1/sandboxes/${door.id}`).then(async (response) => ({
      body: JSON.parse(Buffer.concat(await response.toArray()).toString()),
    }))
    expect(body.status).toBe('idle')
  })
})

test('a gibibyte both ways in constant memory', { timeout: 120_000 }, async ({ server }) => {
  const door = await FileDoor.create(server)
  const size = 2 ** 30
  const piece = Buffer.alloc(2 ** 20)
  async function* body() {
    for (let sent = 0; sent < size; sent += piece.length) yield piece
  }
  const rss = () =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) * 1024
  await door.write('warm', piece)
  await door.get('/archive', { path: 'warm' })
  const before = rss()
  const written = await door.put('/content', { path: 'big' }, body())
  expect(written.json.size).toBe(size)
  for (const path of [
    door.path('/content', { path: 'big' }),
    door.path('/archive', { path: 'big', format: 'tar' }),
    door.path('/archive', { path: 'big', format: 'zip' }),
  ]) {
    const response = await open(server, 'GET', path)
    let bytes = 0
    for await (const data of response) bytes += data.length
    expect(bytes).toBeGreaterThan(1_000_000)
  }
  expect(rss() - before).toBeLessThan(96 * 2 ** 20)
})

describe('listing', () => {
  test('deeper than one directory', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.sh(
      "mkdir -p t/a/b/c && echo x > t/a/f && echo y > t/a/b/c/g && ln -s /etc t/etc && : > 't/-z\n'",
    )
    const names = async (depth: number) =>
      (await door.get('', { path: 't', depth })).json.files.map((file: { path: string }) => file.path)
    expect(await names(1)).toEqual(['t/-z\n', 't/a', 't/etc'])
    expect(await names(2)).toEqual(['t/-z\n', 't/a', 't/a/b', 't/a/f', 't/etc'])
    expect(await names(100)).toEqual(['t/-z\n', 't/a', 't/a/b', 't/a/b/c', 't/a/b/c/g', 't/a/f', 't/etc'])
    expect((await door.get('', { path: 't/a/f', depth: 2 })).error).toBe('file_wrong_type')
    expect((await door.get('', { path: 'none', depth: 2 })).error).toBe('file_not_found')
  })

  test('links that go in circles are not followed', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.sh('mkdir -p t/a && ln -s .. t/a/up && ln -s . t/self')
    const { json } = await door.get('', { path: 't', depth: 100 })
    expect(json.files).toHaveLength(3)
  })
})

test.for(['pipe', 'socket', '/dev/zero', '/dev/tty', '/proc/1/mem'])(
  'what is no file is not read: %s',
  async (path, { server }) => {
    const door = await FileDoor.create(server)
    await door.sh('mkfifo pipe && python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'socket\')"')
    expect((await door.get('/content', { path })).status).toBeGreaterThanOrEqual(400)
    const archive = await door.get('/archive', { path, format: 'tar' })
    if (archive.status === 200) expect(archive.body.length).toBeLessThan(20_000)
  },
)
