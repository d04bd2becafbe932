import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { test } from '../fixture.ts'
import { pax, tar, tarEntry, zip } from './archive-bytes.ts'
import { FileDoor } from './door.ts'

const FORMATS = ['tar', 'tar.gz', 'zip'] as const
/** One line an entry: type, mode, target and name; and the contents of all. */
const DESCRIBE = (path: string) =>
  `cd ${path} && find . -mindepth 1 -printf '%p %y %m %l\\n' | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum`

const TREE =
  `rm -rf tree && mkdir -p tree/empty 'tree/sp ace/ünï/深い' && cd tree && echo one > -rf && echo two > "$(printf 'new\\nline')"
  && echo three > 'sp ace/ünï/深い/😀' && : > nothing && printf '#!/bin/sh\\n' > run && chmod 750 run && chmod 2755 empty && chmod 4711 run
  && ln -s ../outside dangling && ln -s -- -rf link && ln run hard && head -c 3000000 /dev/urandom > big
  && mkdir -p $(printf 'long%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30)/$(printf 'deep%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30)
  && echo x > $(printf 'long%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30)/f`.replaceAll(
    '\n',
    ' ',
  )

describe.each(FORMATS)('%s', (format) => {
  test('a tree comes back as it was, without set-user-id', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.sh(TREE)
    const packed = await door.get('/archive', { path: 'tree', format })
    expect([packed.status, packed.trailers['x-caisson-skipped']]).toEqual([200, '0'])
    const unpacked = await door.unpack(packed.body, 'back', format)
    expect(unpacked.json).toMatchObject({ files: 8, links: 2 })
    const before = await door.sh(DESCRIBE('tree'))
    expect(await door.sh(DESCRIBE('back'))).toBe(
      before.replaceAll(' 4711 ', ' 711 ').replaceAll(' 2755 ', ' 755 '),
    )
    expect((await door.unpack(packed.body, 'again')).json).toEqual(unpacked.json)
  })

  test('twenty thousand entries', { timeout: 120_000 }, async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.sh(
      'mkdir many && cd many && for d in $(seq 20); do mkdir $d; for f in $(seq 999); do echo $f > $d/$f; done; done',
    )
    const packed = await door.get('/archive', { path: 'many', format })
    const { json } = await door.unpack(packed.body, 'copy')
    expect(json).toMatchObject({ files: 19_980, directories: 20 })
    expect(await door.sh('diff -r many copy && echo same')).toBe('same\n')
  })

  test('an empty directory and a single file', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.sh('mkdir none && echo content > one')
    const empty = await door.get('/archive', { path: 'none', format })
    expect((await door.unpack(empty.body, 'a')).json).toEqual({
      files: 0,
      directories: 0,
      links: 0,
      bytes: 0,
    })
    const single = await door.get('/archive', { path: 'one', format })
    expect((await door.unpack(single.body, 'b')).json).toEqual({
      files: 1,
      directories: 0,
      links: 0,
      bytes: 8,
    })
    expect(await door.read('b/one')).toBe('content\n')
  })
})

test('what other programs pack is unpacked, and they unpack what is packed here', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh(TREE)
  const packed = await door.get('/archive', { path: 'tree', format: 'tar.gz' })
  await door.write('ours.tar.gz', packed.body)
  await door.sh('mkdir theirs && tar xzf ours.tar.gz -C theirs && diff -r --no-dereference tree theirs')
  for (const flags of [
    '--format=gnu',
    '--format=posix',
    '--format=ustar --exclude=long*',
    '--format=v7 --exclude=long*',
  ]) {
    await door.sh(`rm -rf un && cd tree && tar c ${flags} . > ../theirs.tar`)
    const { body } = await door.get('/content', { path: 'theirs.tar' })
    expect((await door.unpack(body, 'un')).json).toMatchObject({ links: 2 })
    await door.sh("diff -r --no-dereference --exclude='long*' tree un && cmp un/run un/hard")
  }
  const zipped = await door.get('/archive', { path: 'tree', format: 'zip' })
  await door.write('ours.zip', zipped.body)
  await door.sh('mkdir unzipped && cd unzipped && python3 -m zipfile -e ../ours.zip . && cmp big ../tree/big')
  await door.sh("cd tree && python3 -m zipfile -c ../py.zip big run 'sp ace'")
  const { body } = await door.get('/content', { path: 'py.zip' })
  expect((await door.unpack(body, 'py')).json).toMatchObject({ files: 3 })
  await door.sh("cmp py/big tree/big && diff -r 'tree/sp ace' 'py/sp ace'")
})

test('what an archive can not hold is left out and counted', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh("mkdir odd && mkfifo odd/pipe && echo x > odd/x && echo y > 'odd/back\\slash'")
  const skipped = async (format: string) =>
    (await door.get('/archive', { path: 'odd', format })).trailers['x-caisson-skipped']
  expect([await skipped('tar'), await skipped('zip')]).toEqual(['1', '2'])
})

test('a download never follows a link out of the tree', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir t && ln -s /etc t/etc && ln -s /etc/passwd t/file')
  const { body } = await door.get('/archive', { path: 't', format: 'tar' })
  await door.unpack(body, 'u')
  expect(await door.sh('ls u && readlink u/etc u/file')).toBe('etc\nfile\n/etc\n/etc/passwd\n')
  expect(body.includes('root:')).toBe(false)
})

test('existing files are replaced and others stay', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir -p d/sub && echo old > d/a && echo kept > d/b && echo old > d/sub/c')
  const archive = tar(tarEntry('./a', { content: 'new' }), tarEntry('sub//c', { content: 'new' }))
  expect((await door.unpack(gzipSync(archive), 'd')).json).toEqual({
    files: 2,
    directories: 0,
    links: 0,
    bytes: 6,
  })
  expect(await door.sh('cat d/a d/b d/sub/c')).toBe('newkept\nnew')
})

test('a directory that its owner may not write is filled nevertheless', async ({ server }) => {
  const door = await FileDoor.create(server)
  const archives = [
    tar(tarEntry('ro/', { type: '5', mode: 0o555 }), tarEntry('ro/f', { content: 'x' })),
    zip(['ro/', { mode: 0o040055 }], ['ro/f', { content: 'x' }]),
  ]
  for (const [i, archive] of archives.entries())
    expect((await door.unpack(archive, `d${i}`)).json).toMatchObject({ files: 1, directories: 1 })
  expect(await door.sh('stat -c %a d0/ro d1/ro && cat d0/ro/f d1/ro/f')).toBe('755\n755\nxx')
})

test('long names, unicode and sizes of pax headers', async ({ server }) => {
  const door = await FileDoor.create(server)
  const long = Array.from({ length: 15 }, () => 'ü'.repeat(120)).join('/')
  const archive = tar(
    pax({ __proto__: 'x', comment: 'c', mtime: '1.5' }, 'g'),
    pax({ path: long }),
    tarEntry('short', { content: 'long' }),
    pax({ path: 'sized', size: '3' }),
    tarEntry('other', { content: 'abc', size: 3 }),
    pax({ path: 'link', linkpath: long }),
    tarEntry('l', { type: '2', link: 'x' }),
  )
  expect((await door.unpack(archive, 'd')).json).toMatchObject({ files: 2, links: 1 })
  expect(await door.sh('cat d/link d/sized')).toBe('longabc')
})

test('entries of a zip in memory limits: stored, deflated, large', async ({ server }) => {
  const door = await FileDoor.create(server)
  const content = randomBytes(5_000_000)
  const { json } = await door.unpack(zip(['a/b', { content }], ['a/c', { content: '' }], ['dir/']), 'd')
  expect(json).toMatchObject({ files: 2, directories: 1, bytes: 5_000_000 })
  expect((await door.get('/content', { path: 'd/a/b' })).body.equals(content)).toBe(true)
  expect(await door.sh('ls -A d')).toBe('a\ndir\n')
})

test('a client that leaves ends the packing', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir big && truncate -s 5G big/file')
  const { open } = await import('./door.ts')
  for (const format of FORMATS) {
    const response = await open(server, 'GET', door.path('/archive', { path: 'big', format }))
    await new Promise((resolve) => response.once('data', resolve))
    response.destroy()
  }
  const status = async () => (await open(server, 'GET', `/v1/sandboxes/${door.id}`)).statusCode
  expect(await status()).toBe(200)
  expect((await door.get('/stat', { path: 'big/file' })).json.size).toBe(5 * 2 ** 30)
})
