import { describe, expect } from 'vitest'
import { TestServer, test } from '../fixture.ts'
import { FileDoor, fetch } from './door.ts'

const sign = async (door: FileDoor, input: object) =>
  (await door.post('/sign', {}, input)).json as { path: string; url: string | null; expiresAt: string }

/** A link with its claims changed and the old signature. */
function changed(link: string, change: object): string {
  const [head = '', mac = ''] = link.split('.')
  const prefix = '/v1/signed/'
  const claims = JSON.parse(Buffer.from(head.slice(prefix.length), 'base64url').toString())
  return `${prefix}${Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url')}.${mac}`
}

async function expectRefused(server: TestServer, method: string, link: string): Promise<void> {
  const { status, json, headers } = await fetch(server, method, link, method === 'PUT' ? { body: 'x' } : {})
  expect([status, json?.error]).toEqual([
    403,
    {
      code: 'signature_invalid',
      message: 'The link is not valid, or not any more. Ask its maker for a new one.',
      retry: false,
      details: {},
    },
  ])
  expect(headers['x-caisson-file']).toBeUndefined()
}

test('a link reads its file, with ranges, and nothing that a browser could run', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.write('page "é".html', '<script>alert(1)</script>')
  const { path, url, expiresAt } = await sign(door, { path: 'page "é".html', operation: 'read', ttl: '2h' })
  expect(url).toBeNull()
  expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now() + 7_000_000)
  const { status, headers, body } = await fetch(server, 'GET', path)
  expect([status, body.toString()]).toEqual([200, '<script>alert(1)</script>'])
  expect(headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    'content-disposition': "attachment; filename*=UTF-8''page%20%22%C3%A9%22.html",
  })
  expect(headers['x-caisson-file']).toBeUndefined()
  const part = await fetch(server, 'GET', path, { headers: { range: 'bytes=-9' } })
  expect([part.status, part.body.toString()]).toEqual([206, '</script>'])
})

test('a link writes its file, and a path means what it meant when it was signed', async ({ server }) => {
  const door = await FileDoor.create(server)
  const mine = await sign(door, { path: 'new/file', operation: 'write' })
  expect((await fetch(server, 'PUT', mine.path, { body: 'hello' })).json).toEqual({ bytes: 5 })
  expect(await door.sh('stat -c %U /home/agent/new/file && cat new/file')).toBe('agent\nhello')
  const roots = await sign(door, { path: 'file', user: 'root', operation: 'write' })
  expect((await fetch(server, 'PUT', roots.path, { body: 'x' })).status).toBe(200)
  expect(await door.sh('sudo cat /root/file')).toBe('x')
})

describe('refused alike:', () => {
  test('every change, and the other operation', async ({ server }) => {
    const door = await FileDoor.create(server)
    const other = await FileDoor.create(server)
    await door.write('f', 'x')
    const read = (await sign(door, { path: 'f', operation: 'read' })).path
    const write = (await sign(door, { path: 'f', operation: 'write' })).path
    for (const change of [
      { path: '/etc/passwd' },
      { user: 'root' },
      { user: null },
      { sandbox: other.id },
      { expiresAt: Date.now() + 1e9 },
      { more: 1 },
    ]) {
      await expectRefused(server, 'GET', changed(read, change))
      await expectRefused(server, 'PUT', changed(read, change))
      await expectRefused(server, 'PUT', changed(write, change))
    }
    await expectRefused(server, 'PUT', read)
    await expectRefused(server, 'PUT', changed(read, { operation: 'write' }))
    await expectRefused(server, 'GET', changed(write, { operation: 'read' }))
    await expectRefused(server, 'GET', write)
    expect(await door.read('f')).toBe('x')
  })

  test('every flipped character, what is cut, and what was never a link', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'x')
    const { path } = await sign(door, { path: 'f', operation: 'read' })
    const start = '/v1/signed/'.length
    for (let at = start; at < path.length; at += 3) {
      const flipped = path[at] === 'A' ? 'B' : 'A'
      await expectRefused(server, 'GET', path.slice(0, at) + flipped + path.slice(at + 1))
    }
    // The last character of base64 has bits that mean nothing.
    const last = path.at(-1) as string
    for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
      if (character !== last) await expectRefused(server, 'GET', path.slice(0, -1) + character)
    const mac = path.slice(path.indexOf('.'))
    for (const token of [
      'x',
      '.',
      'a.b',
      'e30.',
      `bnVsbA${mac}`,
      `MQ${mac}`,
      `W10${mac}`,
      mac,
      `${path.slice(start)}.`,
      `${path.slice(start)}.x`,
      path.slice(start, -1),
    ])
      await expectRefused(server, 'GET', `/v1/signed/${token}`)
  })

  test('expired', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'x')
    const { path } = await sign(door, { path: 'f', operation: 'read', ttl: 1 })
    await expect.poll(async () => (await fetch(server, 'GET', path)).status).toBe(403)
    await expectRefused(server, 'GET', path)
  })
})

test('after the sandbox has ended a genuine link says so, and others do not', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.write('f', 'x')
  const { path } = await sign(door, { path: 'f', operation: 'read' })
  await fetch(server, 'DELETE', `/v1/sandboxes/${door.id}`)
  expect((await fetch(server, 'GET', path)).error).toBe('sandbox_ended')
  await expectRefused(server, 'GET', changed(path, { path: 'g' }))
  expect((await door.post('/sign', {}, { path: 'f', operation: 'read' })).error).toBe('sandbox_ended')
})

test('lifetimes are bounded, and links survive the server', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.write('f', 'x')
  for (const ttl of ['8d', 0, 'soon'])
    expect((await door.post('/sign', {}, { path: 'f', operation: 'read', ttl })).error).toBe(
      'invalid_request',
    )
  const { path } = await sign(door, { path: 'f', operation: 'read', ttl: '7d' })
  await server.kill9()
  await server.up()
  expect((await fetch(server, 'GET', path)).body.toString()).toBe('x')
})

test('over TCP a link is the only thing that needs no key', async () => {
  await using server = await TestServer.start({ listen: '127.0.0.1:0' })
  const door = await FileDoor.create(server)
  await door.write('f', 'content')
  const read = await sign(door, { path: 'f', operation: 'read' })
  const write = await sign(door, { path: 'f', operation: 'write' })
  expect(read.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1\/signed\//)
  const get = (url: string, init?: RequestInit) => globalThis.fetch(url, init)
  expect(await (await get(read.url as string)).text()).toBe('content')
  expect((await get(write.url as string, { method: 'PUT', body: 'new' })).status).toBe(200)
  expect(await door.read('f')).toBe('new')
  const origin = new URL(read.url as string).origin
  expect((await get(origin + door.path('/content', { path: 'f' }))).status).toBe(401)
  expect((await get(`${origin}/v1/signed/x.y`)).status).toBe(403)
})
