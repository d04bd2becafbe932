import { Sandbox } from 'caisson'
import { beforeEach, describe, expect } from 'vitest'
import { DRIVER, type TestServer, test } from '../fixture.ts'

let sandbox: Sandbox
beforeEach<{ server: TestServer }>(async ({ server }) => {
  sandbox = await Sandbox.create({ client: server.client() })
  return () => sandbox.delete()
})

describe('files', () => {
  test('are written, read, described and listed', async () => {
    const written = await sandbox.files.write('a/b/c.txt', 'hällo', { mode: 0o600 })
    expect(written).toMatchObject({ name: 'c.txt', size: 6, mode: 0o600, type: 'file' })
    expect(written.directoriesCreated.length).toBe(2)
    expect(await sandbox.files.readText('a/b/c.txt')).toBe('hällo')
    expect([...(await sandbox.files.read('a/b/c.txt', { offset: 1, length: 2 }))]).toEqual([0xc3, 0xa4])
    expect(await sandbox.files.stat('a/b')).toMatchObject({ type: 'directory', name: 'b' })
    expect((await sandbox.files.list('a/b')).map((file) => file.name)).toEqual(['c.txt'])
    expect(await sandbox.files.exists('a/b/c.txt')).toBe(true)
    expect(await sandbox.files.exists('a/b/d.txt')).toBe(false)
  })

  test('are what commands see', async () => {
    await sandbox.files.write('script', '#!/bin/sh\necho "$1"', { mode: 0o755 })
    expect((await sandbox.exec(['./script', 'x y'])).stdout).toBe('x y\n')
    await sandbox.sh('echo made > made.txt; ln -s made.txt link')
    expect(await sandbox.files.readText('link')).toBe('made\n')
    expect(await sandbox.files.stat('link')).toMatchObject({ type: 'symlink', link: 'made.txt' })
    expect(await sandbox.files.stat('link', { follow: true })).toMatchObject({ type: 'file', size: 5 })
  })

  test('move, change and go', async () => {
    const { files } = sandbox
    expect((await files.mkdir('x/y')).length).toBe(2)
    await files.write('x/y/f', '1')
    await files.rename('x/y/f', 'x/g')
    await files.chmod('x/g', 0o640)
    expect((await files.stat('x/g')).mode).toBe(0o640)
    await expect(files.remove('x')).rejects.toMatchObject({ code: 'directory_not_empty' })
    await files.remove('x', { recursive: true })
    expect(await files.exists('x')).toBe(false)
  })

  test.runIf(DRIVER === 'oci')('change owner as root', async () => {
    await sandbox.files.write('mine', '1')
    await expect(sandbox.files.chown('mine', 0, 0)).rejects.toMatchObject({ code: 'file_denied' })
    await sandbox.files.chown('/home/agent/mine', 0, 0, { user: 'root' })
    expect(await sandbox.files.stat('mine')).toMatchObject({ uid: 0, gid: 0, owner: 'root' })
    await expect(sandbox.files.read('/etc/shadow')).rejects.toMatchObject({ code: 'file_denied' })
    expect(await sandbox.files.readText('/etc/shadow', { user: 'root' })).toContain('root:')
  })

  test('of any size are streamed both ways', async () => {
    const piece = Buffer.alloc(65_536, 'x')
    const count = 320
    async function* pieces() {
      for (let i = 0; i < count; i++) yield piece
    }
    const written = await sandbox.files.write('big', pieces())
    expect(written.size).toBe(piece.length * count)
    let size = 0
    for await (const part of sandbox.files.stream('big')) size += part.length
    expect(size).toBe(piece.length * count)
    for await (const _ of sandbox.files.stream('big')) break
    expect((await sandbox.files.stat('big')).size).toBe(size)
  })

  test('keep the old content when an upload breaks', async () => {
    await sandbox.files.write('kept', 'old')
    async function* broken() {
      yield 'new'
      throw new RangeError('the source broke')
    }
    await expect(sandbox.files.write('kept', broken())).rejects.toThrow('the source broke')
    expect(await sandbox.files.readText('kept')).toBe('old')
    expect((await sandbox.files.list('.')).filter((file) => file.name.includes('kept')).length).toBe(1)
  })

  test('that are not there, or are no files, are typed errors', async () => {
    await expect(sandbox.files.read('no')).rejects.toMatchObject({
      code: 'file_not_found',
      details: { path: 'no' },
    })
    await sandbox.files.mkdir('dir')
    await expect(sandbox.files.read('dir')).rejects.toMatchObject({ code: 'file_wrong_type' })
    await expect(sandbox.files.list('no')).rejects.toMatchObject({ code: 'file_not_found' })
  })
})
