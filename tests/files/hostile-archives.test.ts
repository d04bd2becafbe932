import { existsSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished } from 'vitest'
import { type TestServer, test } from '../fixture.ts'
import { pax, tar, tarEntry, zip } from './archive-bytes.ts'
import { FileDoor } from './door.ts'

/** A name that nothing else has, so that it shows wherever it was written. */
const CANARY = 'caisson-archive-canary'

/** A sandbox with a directory to unpack into, and the proof that nothing came to be outside of it. */
async function prepare(server: TestServer): Promise<FileDoor> {
  const door = await FileDoor.create(server)
  await door.sh('mkdir -p into outside && echo secret > outside/secret && echo old > into/kept')
  onTestFinished(async () => {
    const outside = await door.sh(
      `find / -xdev -name '*${CANARY}*' -not -path '/home/agent/into/*' -not -path '/proc/*' 2>/dev/null; ls ~ outside; ls -A outside; cat outside/secret into/kept`,
    )
    expect(outside).toBe('/home/agent:\ninto\noutside\n\noutside:\nsecret\nsecret\nsecret\nold\n')
    for (const path of ['/', '/tmp', '/etc', '/root', server.dataDir])
      expect(existsSync(`${path}/${CANARY}`)).toBe(false)
  })
  return door
}

const bad = { content: 'bad' }
const NAMES = [
  ['absolute', `/tmp/${CANARY}`],
  ['parent', `../${CANARY}`],
  ['parent of a parent', `a/../../${CANARY}`],
  ['three up', `a/b/../../../${CANARY}`],
  ['two slashes', `//tmp/${CANARY}`],
  ['more than a path can be', `${'x/'.repeat(2100)}${CANARY}`],
] as const
const good = tarEntry('good', { content: 'good' })

describe.each([
  ['tar', (name: string) => tar(good, pax({ path: name }), tarEntry('short', bad))],
  ['tar.gz', (name: string) => gzipSync(tar(good, pax({ path: name }), tarEntry('short', bad)))],
  ['zip', (name: string) => zip(['good', { content: 'good' }], [name, bad])],
] as const)('names in a %s', (_, make) => {
  test.for(NAMES)('%s', async ([, name], { server }) => {
    const door = await prepare(server)
    const { error, status, json } = await door.unpack(make(name), 'into')
    expect([status, error, json.error.details.entries]).toEqual([422, 'archive_refused', 1])
    expect(await door.read('into/good')).toBe('good')
  })
})

test.for([`C:\\${CANARY}`, `C:${CANARY}`, `..\\${CANARY}`, `\\\\host\\${CANARY}`])(
  'name in a zip: %s',
  async (name, { server }) => {
    const door = await prepare(server)
    expect((await door.unpack(zip([name, bad]), 'into')).error).toBe('archive_refused')
  },
)

test('NUL ends a name in a header and is refused elsewhere', async ({ server }) => {
  const door = await prepare(server)
  expect(
    (await door.unpack(tar(pax({ path: `a\0/../../${CANARY}` }), tarEntry('x', bad)), 'into')).error,
  ).toBe('archive_refused')
  expect((await door.unpack(zip([`a\0${CANARY}`, bad]), 'into')).error).toBe('archive_refused')
})

const through = `out/${CANARY}`
test.for([
  ['absolute', '/home/agent/outside'],
  ['relative', '../outside'],
  ['to the root', '/'],
  ['magic', '/proc/self/cwd'],
  ['to the parent', '..'],
] as const)('a file through a link, %s', async ([, target], { server }) => {
  const door = await prepare(server)
  const archives = [
    tar(tarEntry('out', { type: '2', link: target }), tarEntry(through, bad)),
    zip(['out', { content: target, mode: 0o120777 }], [through, bad]),
    tar(tarEntry('out', { type: '2', link: target }), tarEntry(`${through}/`, { type: '5' })),
    tar(tarEntry('out', { type: '2', link: target }), tarEntry(through, { type: '2', link: 'x' })),
    tar(
      tarEntry('one', { type: '2', link: target }),
      tarEntry('out', { type: '2', link: 'one' }),
      tarEntry(through, bad),
    ),
  ]
  for (const archive of archives) {
    const { error, json } = await door.unpack(archive, 'into')
    expect([error, json.error?.details.entry]).toEqual(['archive_refused', expect.stringContaining(through)])
    expect(await door.sh('readlink into/out && rm -r into/out into/one 2>/dev/null; true')).toMatch(/\S/)
  }
})

test('a link within the directory is followed', async ({ server }) => {
  const door = await prepare(server)
  const archive = tar(
    tarEntry('dir/', { type: '5', mode: 0o755 }),
    tarEntry('link', { type: '2', link: 'dir' }),
    tarEntry('link/file', { content: 'inside' }),
  )
  expect((await door.unpack(archive, 'into')).status).toBe(200)
  expect(await door.sh('cat into/dir/file && rm -r into/dir into/link')).toBe('inside')
})

test('a file in the place of a link replaces the link', async ({ server }) => {
  const door = await prepare(server)
  const archive = tar(
    tarEntry('f', { type: '2', link: '/home/agent/outside/secret' }),
    tarEntry('f', { content: 'mine' }),
  )
  expect((await door.unpack(archive, 'into')).status).toBe(200)
  expect(await door.sh('stat -c %F into/f && cat into/f')).toBe('regular file\nmine')
})

test('hard links name files before them and nothing else', async ({ server }) => {
  const door = await prepare(server)
  const link = (target: string) => tarEntry(`h-${CANARY}`, { type: '1', link: target })
  const refused = [
    tar(link('/home/agent/outside/secret')),
    tar(link('../outside/secret')),
    tar(link('kept')),
    tar(good, tarEntry('s', { type: '2', link: '/etc' }), link('s/passwd')),
    tar(good, tarEntry('good', { type: '2', link: '/etc/passwd' }), link('good')),
    tar(link('')),
  ]
  for (const archive of refused) expect((await door.unpack(archive, 'into')).error).toBe('archive_refused')
  expect((await door.unpack(tar(good, link('good')), 'into/sub')).json).toMatchObject({ files: 2 })
  expect(await door.read(`into/sub/h-${CANARY}`)).toBe('good')
})

test.for([
  ['character device', tar(tarEntry('d', { type: '3' }))],
  ['block device', tar(tarEntry('d', { type: '4' }))],
  ['FIFO', tar(tarEntry('d', { type: '6' }))],
  ['old GNU sparse file', tar(tarEntry('d', { type: 'S' }))],
  ['sparse file of pax', tar(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.name': 'd' }), tarEntry('d'))],
  ['unknown type', tar(tarEntry('d', { type: 'Z' }))],
  ['multi-volume continuation', tar(tarEntry('d', { type: 'M' }))],
  ['device in a zip', zip(['d', { mode: 0o020666 }])],
  ['FIFO in a zip', zip(['d', { mode: 0o010666 }])],
  ['socket in a zip', zip(['d', { mode: 0o140666 }])],
  ['empty link', zip(['d', { mode: 0o120777 }])],
  ['long link', zip(['d', { mode: 0o120777, content: 'x'.repeat(5000) }])],
] as [string, Buffer][])('%s', async ([, archive], { server }) => {
  const door = await prepare(server)
  expect((await door.unpack(archive, 'into')).error).toBe('archive_refused')
  expect(await door.sh('ls into')).toBe('kept\n')
})

test('set-user-id and attributes are dropped', async ({ server }) => {
  const door = await prepare(server)
  const archive = tar(
    pax({ 'SCHILY.xattr.security.capability': 'x', 'SCHILY.xattr.user.a': 'b' }),
    tarEntry('suid', { mode: 0o6755 }),
    tarEntry('dir/', { type: '5', mode: 0o2755 }),
  )
  expect((await door.unpack(archive, 'into/t')).status).toBe(200)
  expect((await door.unpack(zip(['suid', { mode: 0o106755 }]), 'into/z')).status).toBe(200)
  expect(await door.sh('stat -c %a:%u into/t/* into/z/*')).toBe('755:1000\n755:1000\n755:1000\n')
})

test.for([
  ['neither', Buffer.from('hello, world, this is no archive at all'.repeat(50))],
  ['empty', Buffer.alloc(0)],
  ['a truncated tar', tar(good).subarray(0, 700)],
  ['a tar with a wrong checksum', Buffer.concat([good, tarEntry('b').fill('9', 100, 107)])],
  ['a tar whose size is negative', tar(pax({ size: '-1' }), tarEntry('b', bad))],
  ['a tar whose size is huge', tar(pax({ size: '9'.repeat(40) }), tarEntry('b', bad))],
  ['a tar with a huge header', tar(tarEntry('b', { type: 'x', size: 6_000_000_000 }))],
  ['a damaged gzip', gzipSync(tar(good)).fill(0, 30)],
  ['a truncated gzip', gzipSync(tar(good, tarEntry('b', { content: 'x'.repeat(9999) }))).subarray(0, 60)],
  ['a truncated zip', zip(['a', bad]).subarray(0, 40)],
  ['a zip whose directory lies', zip(['a', { ...bad, size: 2 }])],
  ['a zip whose file is longer than it says', zip(['a', { content: 'x'.repeat(100_000), size: 10 }])],
  ['a zip whose file is shorter than it says', zip(['a', { content: 'x', size: 100_000 }])],
  ['a zip whose checksum is wrong', zip(['a', { ...bad, crc: 1 }])],
  ['an encrypted zip', zip(['a', { ...bad, flags: 1 }])],
  ['an unknown method', zip(['a', { ...bad, method: 99 }])],
] as [string, Buffer][])('%s', async ([, archive], { server }) => {
  const door = await prepare(server)
  const { error, json } = await door.unpack(archive, 'into')
  expect([error, typeof json.error?.details.reason]).toEqual(['archive_refused', 'string'])
  expect(await door.sh('rm -f into/good && ls -A into')).toBe('kept\n')
})

describe('bombs', () => {
  test('gzip a thousand to one', async ({ server }) => {
    const door = await prepare(server)
    const bomb = gzipSync(tar(tarEntry('zeros', { content: Buffer.alloc(80 * 2 ** 20) })))
    const { error, json } = await door.unpack(bomb, 'into')
    expect([error, json.error.details.reason]).toEqual([
      'archive_refused',
      expect.stringContaining('200 times'),
    ])
    expect(await door.sh('ls -A into')).toBe('kept\n')
  })

  test('zip a thousand to one', async ({ server }) => {
    const door = await prepare(server)
    const { error } = await door.unpack(zip(['zeros', { content: Buffer.alloc(80 * 2 ** 20) }]), 'into')
    expect(error).toBe('archive_refused')
    expect(await door.sh('ls -A into')).toBe('kept\n')
  })

  test('zip entries that share their bytes', async ({ server }) => {
    const door = await prepare(server)
    const shared = Array.from({ length: 50 }, (_, i): [string, object] => [
      `copy${i}`,
      { content: 'x'.repeat(100), offset: 0 },
    ])
    const { error, json } = await door.unpack(zip(['first', { content: 'x'.repeat(100) }], ...shared), 'into')
    expect([error, json.error.details.reason]).toEqual([
      'archive_refused',
      expect.stringContaining('overlaps'),
    ])
  })

  test('a size that the archive does not have', async ({ server }) => {
    const door = await prepare(server)
    const { error } = await door.unpack(tar(tarEntry('huge', { size: 8 * 2 ** 30 - 1 })), 'into')
    expect(error).toBe('archive_refused')
    expect(await door.sh('ls -A into')).toBe('kept\n')
  })

  test('headers without end', async ({ server }) => {
    const door = await prepare(server)
    const header = pax({ comment: 'x'.repeat(900_000) })
    const bomb = gzipSync(tar(...Array.from({ length: 90 }, () => header)))
    expect((await door.unpack(bomb, 'into')).error).toBe('archive_refused')
  })
})

test('a temporary file of a zip never stays', async ({ server }) => {
  const door = await prepare(server)
  for (const archive of [zip(['../x', bad]), zip(['ok', bad]), zip(['a', bad]).subarray(0, 50)])
    await door.unpack(archive, 'into')
  expect(await door.sh('rm into/ok && ls -A into')).toBe('kept\n')
})

test('after all of them the server and a neighbour are well', async ({ server }) => {
  const door = await FileDoor.create(server)
  expect(await door.sh('echo well')).toBe('well\n')
})
