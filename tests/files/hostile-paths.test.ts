import { describe, expect } from 'vitest'
import { test } from '../fixture.ts'
import { tar, tarEntry } from './archive-bytes.ts'
import { FileDoor, fetch, open } from './door.ts'

const CANARY = 'caisson-path-canary'

/** Every operation of this folder on a path; each answers, and none with what is outside of the sandbox. */
async function everything(door: FileDoor, path: string): Promise<{ status: number; text: string }[]> {
  const part = { path, size: 1, offset: 0 }
  const replies = [
    await door.get('/content', { path }),
    await door.get('/stat', { path }),
    await door.get('', { path, depth: 2 }),
    await door.get('/checksum', { path }),
    await door.get('/archive', { path, format: 'tar' }),
    await door.get('/uploads/u', { path }),
    await door.put('/uploads/u', part, 'x'),
    await door.unpack(tar(tarEntry(CANARY)), path),
    await door.post('/batch', {}, { files: [{ path, content: 'x' }] }),
    await door.post('/sign', {}, { path, operation: 'read' }),
  ]
  return replies.map(({ status, body }) => ({ status, text: body.toString('latin1') }))
}

describe('paths', () => {
  test.for([
    ['to a file of the host', '../../../../../../../../etc/shadow'],
    ['absolute', '/etc/shadow'],
    ['of the root of init', '/proc/1/root/etc/shadow'],
    ['of the own root', '/proc/self/root/etc/shadow'],
    ['of the working directory of init', '/proc/1/cwd/etc/shadow'],
    ['of an open file', '/proc/self/fd/3'],
    ['with slashes', '//etc///shadow'],
    ['not a directory', 'file/../../../etc/shadow'],
  ] as const)('%s', async ([, path], { server }) => {
    const door = await FileDoor.create(server)
    await door.write('file', 'x')
    for (const { status, text } of await everything(door, path)) {
      expect(status).toBeLessThan(500)
      expect(text).not.toMatch(/root:[*!$x]/)
    }
    expect(await door.sh('echo well')).toBe('well\n')
  })

  test('that can not be one', async ({ server }) => {
    const door = await FileDoor.create(server)
    const long = 'x'.repeat(4096)
    for (const path of ['a\0b', long, '']) {
      const statuses = (await everything(door, path)).map(({ status }) => status)
      if (path !== '') expect(new Set(statuses)).toEqual(new Set([400]))
    }
    for (const query of ['path=%ff%fe', 'path=%c0%ae%c0%ae', 'path=%', 'path=a&path=b']) {
      const reply = await fetch(server, 'GET', `/v1/sandboxes/${door.id}/files/checksum?${query}`)
      expect(reply.error).toBe('invalid_request')
    }
    for (const name of ['x'.repeat(256), `${'x'.repeat(300)}/y`])
      for (const { status } of await everything(door, name)) expect(status).toBeLessThan(500)
  })

  test('odd names are names', async ({ server }) => {
    const door = await FileDoor.create(server)
    for (const path of ['-rf', 'a\\b', '%2e%2e', '..%2f', 'new\nline', ' ', '…', '$(id)', "'", '~']) {
      expect((await door.put('/uploads/u', { path, size: 1, offset: 0 }, 'x')).json.complete).toBe(true)
      expect((await door.get('/checksum', { path })).json.size).toBe(1)
    }
    const { json } = await door.get('', { path: '.' })
    expect(json.files.filter(({ size }: { size: number }) => size === 1)).toHaveLength(10)
  })

  test('sandboxes named by paths', async ({ server }) => {
    for (const id of ['..', '..%2f..', '%2e%2e', 'sbx_x%00', 'a%2fb', '.'])
      expect((await fetch(server, 'GET', `/v1/sandboxes/${id}/files/archive`)).status).toBeGreaterThanOrEqual(
        400,
      )
  })
})

test('a link that is swapped while root unpacks never lets a file out', { timeout: 120_000 }, async ({
  server,
}) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir -p into/d into/other && ln -s /etc into/link')
  // Exchanges directory and link atomically, some hundred thousand times a second.
  const swap = `import ctypes\nlibc = ctypes.CDLL(None)\nwhile True: libc.renameat2(-100, b"into/d", -100, b"into/link", 2)`
  const stop = await fetch(server, 'POST', `/v1/sandboxes/${door.id}/executions`, {
    body: { argv: ['python3', '-c', swap] },
  })
  expect(stop.status).toBe(201)
  // Two directories in turn, so that each is looked up anew.
  const names = Array.from({ length: 500 }, (_, i) => `${i % 2 === 0 ? 'd' : 'other'}/${CANARY}-${i}`)
  const files = names.map((name) => tarEntry(name, { content: 'x' }))
  let refused = 0
  for (let round = 0; round < 40; round++) {
    const { error } = await fetch(
      server,
      'POST',
      door.path('/archive', { path: '/home/agent/into', user: 'root' }),
      {
        body: tar(...files),
      },
    )
    if (error !== null) refused++
    expect([null, 'archive_refused']).toContain(error)
  }
  await fetch(server, 'POST', `/v1/executions/${stop.json.id}/kill`, { body: { signal: 'SIGKILL' } })
  expect(refused).toBeGreaterThan(0)
  expect(await door.sh(`sudo ls -A /etc | grep -c ${CANARY}; true`)).toBe('0\n')
})

test('reading and removing through links that are swapped stays what the user may', {
  timeout: 60_000,
}, async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('echo mine > mine')
  const { json } = await fetch(server, 'POST', `/v1/sandboxes/${door.id}/executions`, {
    body: { argv: ['sh', '-c', 'while :; do ln -sfn /etc/shadow f; ln -sfn mine f; done 2>/dev/null'] },
  })
  for (let round = 0; round < 200; round++) {
    const { status, body } = await door.get('/content', { path: 'f' })
    if (status === 200) expect(body.toString()).toBe('mine\n')
  }
  await fetch(server, 'POST', `/v1/executions/${json.id}/kill`, { body: { signal: 'SIGKILL' } })
})

test('a client that reads for ever or not at all holds up nobody', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('truncate -s 20G huge')
  const stuck = await Promise.all(
    ['/content', '/archive', '/archive'].map((operation) =>
      open(server, 'GET', door.path(operation, { path: 'huge' })),
    ),
  )
  expect((await door.write('f', 'x')).status).toBe(200)
  expect(await door.sh('echo well')).toBe('well\n')
  for (const response of stuck) response.destroy()
})
