import { Sandbox, Volume, VolumeError, VolumeNotFoundError, VolumePathNotFoundError } from 'e2b'
import { describe, expect } from 'vitest'
import { cannotNetwork, type E2b, test } from './fixture.ts'

/** What calls for the content of a volume take: their address does not follow that of the others. */
const content = ({ url }: E2b) => ({ apiUrl: url })

describe.skipIf(cannotNetwork)('volumes, by E2B’s client', () => {
  test('are created, found, listed and destroyed', async ({ e2b }) => {
    const { options } = e2b
    const made = await Volume.create('Own_data-1', options)
    expect(made).toMatchObject({ name: 'Own_data-1', domain: options.domain })
    await expect(Volume.create('Own_data-1', options)).rejects.toThrow(VolumeError)
    await expect(Volume.create('no spaces', options)).rejects.toThrow(VolumeError)
    const { volumeId, name, token } = made
    const info = await Volume.getInfo(volumeId, options)
    expect(info).toEqual({ volumeId, name, token, domain: options.domain })
    const connected = await Volume.connect(volumeId, options)
    expect(await connected.list('/', content(e2b))).toEqual([])
    expect(await Volume.list(options)).toContainEqual({ volumeId, name })
    expect(await Volume.destroy(volumeId, options)).toBe(true)
    expect(await Volume.destroy(volumeId, options)).toBe(false)
    await expect(Volume.getInfo(volumeId, options)).rejects.toThrow(VolumeNotFoundError)
    expect(await Volume.list(options)).not.toContainEqual({ volumeId, name })
    await expect(made.list('/', content(e2b))).rejects.toThrow(VolumePathNotFoundError)
  })

  test('hold files without a sandbox', async ({ e2b }) => {
    const volume = await Volume.create('files', e2b.options)
    const api = content(e2b)
    const written = await volume.writeFile('/a.txt', 'Grüße', { uid: 1001, gid: 1002, mode: 0o640, ...api })
    expect(written).toMatchObject({
      ...{ name: 'a.txt', path: '/a.txt', type: 'file', size: 7 },
      ...{ uid: 1001, gid: 1002, mode: 0o640 },
    })
    expect(written.mtime).toBeInstanceOf(Date)
    expect(await volume.getInfo('a.txt', api)).toEqual(written)
    expect(await volume.readFile('a.txt', api)).toBe('Grüße')
    const bytes = await volume.readFile('/a.txt', { format: 'bytes', ...api })
    expect(bytes).toEqual(new TextEncoder().encode('Grüße'))
    expect(await (await volume.readFile('/a.txt', { format: 'blob', ...api })).text()).toBe('Grüße')
    const stream = await volume.readFile('/a.txt', { format: 'stream', ...api })
    expect(await new Response(stream).text()).toBe('Grüße')

    await volume.writeFile('/empty', '', api)
    expect(await volume.readFile('/empty', api)).toBe('')
    expect(await volume.readFile('/empty', { format: 'bytes', ...api })).toHaveLength(0)
    await volume.writeFile('/blob', new Blob(['blob']), api)
    await volume.writeFile('/buffer', new TextEncoder().encode('buffer').buffer as ArrayBuffer, api)
    await volume.writeFile('/stream', new Blob(['stream']).stream(), api)
    for (const text of ['blob', 'buffer', 'stream']) expect(await volume.readFile(text, api)).toBe(text)
    expect(await volume.getInfo('/blob', api)).toMatchObject({ uid: 1000, gid: 1000 })
    expect((await volume.list('/', api)).map(({ name }) => name)).toEqual([
      ...['a.txt', 'blob', 'buffer', 'empty', 'stream'],
    ])
  })

  test('replace a file only when they are forced to', async ({ e2b }) => {
    const volume = await Volume.create('forced', e2b.options)
    const api = content(e2b)
    await volume.writeFile('/a', 'one', api)
    await expect(volume.writeFile('/a', 'two', api)).rejects.toThrow(/exists/)
    expect(await volume.readFile('/a', api)).toBe('one')
    await volume.writeFile('/a', 'two', { force: true, ...api })
    expect(await volume.readFile('/a', api)).toBe('two')
    await expect(volume.writeFile('/no/a', 'x', api)).rejects.toThrow(VolumePathNotFoundError)
    expect(await volume.exists('/no', api)).toBe(false)
  })

  test('have directories', async ({ e2b }) => {
    const volume = await Volume.create('directories', e2b.options)
    const api = content(e2b)
    await expect(volume.makeDir('/a/b', api)).rejects.toThrow(VolumePathNotFoundError)
    const made = await volume.makeDir('/a/b/', { force: true, mode: 0o750, uid: 7, gid: 8, ...api })
    expect(made).toMatchObject({ name: 'b', path: '/a/b', type: 'directory', mode: 0o750, uid: 7, gid: 8 })
    await expect(volume.makeDir('/a', api)).rejects.toThrow(/exists/)
    await volume.makeDir('/a', { force: true, ...api })
    await volume.writeFile('/a/b/c', 'x', api)
    const paths = async (path: string, depth?: number) =>
      (await volume.list(path, { ...api, ...(depth !== undefined && { depth }) })).map((entry) => entry.path)
    expect(await paths('/')).toEqual(['/a'])
    expect(await paths('/', 2)).toEqual(['/a', '/a/b'])
    expect(await paths('/', 1_000_000)).toEqual(['/a', '/a/b', '/a/b/c'])
    expect(await paths('a/b')).toEqual(['/a/b/c'])
    await expect(volume.list('/none', api)).rejects.toThrow(VolumePathNotFoundError)
    await expect(volume.list('/a/b/c', api)).rejects.toThrow(VolumeError)
    await volume.remove('/a', api)
    expect(await paths('/')).toEqual([])
    await expect(volume.remove('/a', api)).rejects.toThrow(VolumePathNotFoundError)
    await expect(volume.remove('/', api)).rejects.toThrow(VolumeError)
  })

  test('change what is told of a file', async ({ e2b }) => {
    const volume = await Volume.create('told', e2b.options)
    const api = content(e2b)
    await volume.writeFile('/a', 'x', { mode: 0o600, ...api })
    const changed = await volume.updateMetadata('/a', { uid: 1001, mode: 0o4755 }, api)
    expect(changed).toMatchObject({ path: '/a', uid: 1001, gid: 1000, mode: 0o4755 })
    expect(await volume.updateMetadata('/a', { gid: 5 }, api)).toMatchObject({ uid: 1001, gid: 5 })
    await expect(volume.updateMetadata('/none', { mode: 0o600 }, api)).rejects.toThrow(
      VolumePathNotFoundError,
    )
    await expect(volume.updateMetadata('/a', { uid: 70_000 }, api)).rejects.toThrow(VolumeError)
  })

  test('are one and the same in several sandboxes and without one', async ({ e2b }) => {
    const { options } = e2b
    const api = content(e2b)
    const volume = await Volume.create('shared', options)
    await volume.writeFile('/from-outside', 'outside', api)
    const boxes = await Promise.all(
      ['/data', '/mnt/deep/er'].map((path) =>
        Sandbox.create('base', { ...options, volumeMounts: { [path]: volume } }),
      ),
    )
    const [one, other] = boxes as [Sandbox, Sandbox]
    try {
      expect((await one.getInfo()).volumeMounts).toEqual([{ name: 'shared', path: '/data' }])
      expect(await one.files.read('/data/from-outside')).toBe('outside')
      await one.commands.run(
        'mkdir /data/d && echo -n inside > /data/d/from-inside && ln -s from-inside /data/d/link',
      )
      expect(await other.files.read('/mnt/deep/er/d/from-inside')).toBe('inside')
      expect(await volume.readFile('/d/from-inside', api)).toBe('inside')
      expect(await volume.getInfo('/d/from-inside', api)).toMatchObject({ uid: 1000, gid: 1000 })
      expect(await volume.getInfo('/d/link', api)).toMatchObject({ type: 'symlink', target: 'from-inside' })
      await expect(Volume.destroy(volume.volumeId, options)).rejects.toThrow(/mounted/)
    } finally {
      await Promise.all(boxes.map((box) => box.kill()))
    }
    expect(await volume.readFile('/d/from-inside', api)).toBe('inside')
    expect(await Volume.destroy(volume.volumeId, options)).toBe(true)
  })

  test('lead nowhere else, whatever is in them', async ({ e2b }) => {
    const { options } = e2b
    const api = content(e2b)
    const [volume, secret] = [await Volume.create('hostile', options), await Volume.create('secret', options)]
    await secret.writeFile('/key', 'secret', api)
    const box = await Sandbox.create('base', { ...options, volumeMounts: { '/data': volume } })
    try {
      await box.commands.run(
        'cd /data && ln -s / root && ln -s ../../.. up && ln -s /etc/shadow shadow && mkfifo pipe',
      )
    } finally {
      await box.kill()
    }
    const names = (await volume.list('/root', api)).map(({ name }) => name)
    // Of the sandbox that looks, where there is nothing but the image and this volume.
    expect(names).toContain('volume')
    expect((await volume.list('/root/volume', api)).map(({ name }) => name)).toContain('pipe')
    for (const path of ['/root/var/lib/caisson', '/root/work', '/up/work'])
      await expect(volume.list(path, api)).rejects.toThrow(VolumePathNotFoundError)
    await expect(volume.readFile('/pipe', api)).rejects.toThrow(VolumeError)
    expect(await volume.getInfo('/pipe', api)).toMatchObject({ type: 'unknown' })
    expect(await volume.getInfo('/../../..', api)).toMatchObject({ path: '/', type: 'directory' })
    await expect(volume.readFile('/../secret/key', api)).rejects.toThrow(VolumePathNotFoundError)
    await expect(volume.readFile('/a\0b', api)).rejects.toThrow(VolumeError)
  })

  test('open to their own token alone', async ({ e2b }) => {
    const { options, url } = e2b
    const [one, other] = [await Volume.create('one', options), await Volume.create('other', options)]
    await one.writeFile('/f', 'x', content(e2b))
    const paths = [
      ['GET', 'dir'],
      ['POST', 'dir'],
      ['GET', 'path'],
      ['PATCH', 'path'],
      ['DELETE', 'path'],
      ['GET', 'file'],
      ['PUT', 'file'],
    ] as const
    for (const [method, path] of paths)
      for (const token of [null, other.token, `${one.token}x`, options.apiKey]) {
        const headers = token === null ? {} : { authorization: `Bearer ${token}` }
        const answer = await fetch(`${url}/volumecontent/${one.volumeId}/${path}?path=/f&force=true`, {
          method,
          headers,
        })
        expect([method, path, answer.status, (await answer.json()).code]).toEqual([method, path, 401, 401])
      }
    expect(await one.readFile('/f', content(e2b))).toBe('x')
  })

  test('move large files in pieces', async ({ e2b }) => {
    const volume = await Volume.create('large', e2b.options)
    const api = content(e2b)
    const piece = new Uint8Array(1024 * 1024).fill(7)
    let left = 48
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (left-- > 0) controller.enqueue(piece)
        else controller.close()
      },
    })
    expect(await volume.writeFile('/large', body, api)).toMatchObject({ size: 48 * piece.length })
    const stream = await volume.readFile('/large', { format: 'stream', ...api })
    let bytes = 0
    for await (const part of stream as unknown as AsyncIterable<Uint8Array>) bytes += part.length
    expect(bytes).toBe(48 * piece.length)
  })
})
