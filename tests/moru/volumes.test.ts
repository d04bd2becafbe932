import { Volume } from '@moru-ai/core'
import { describe, expect } from 'vitest'
import { cannotNetwork, made, openE2b, test } from './fixture.ts'

describe.skipIf(cannotNetwork)('a volume, by Moru’s client', () => {
  test('outlives the sandbox that wrote it', async ({ moru }) => {
    const { Sandbox } = moru.client
    const volume = await Volume.create({ name: 'kept' })
    expect((await Volume.create({ name: 'kept' })).volumeId).toBe(volume.volumeId)
    const first = await Sandbox.create({ volumeId: volume.volumeId, volumeMountPath: '/workspace/data' })
    made.push(first)
    const told = await first.commands.run(
      'echo hello >/workspace/data/a; echo $MORU_VOLUME_ID $MORU_VOLUME_MOUNT_PATH',
    )
    expect(told.stdout).toBe(`${volume.volumeId} /workspace/data\n`)
    await expect(volume.delete()).rejects.toThrow(/mounted/)
    await first.kill()
    const second = await Sandbox.create({ volumeId: volume.volumeId, volumeMountPath: '/data/v' })
    made.push(second)
    expect((await second.commands.run('cat /data/v/a; echo more >>/data/v/a')).stdout).toBe('hello\n')
    await second.kill()
    expect(await volume.getInfo()).toMatchObject({ name: 'kept', totalFileCount: 1 })
    expect((await Volume.list()).map(({ name }) => name)).toContain('kept')
    expect(await volume.delete()).toBe(true)
    await expect(Volume.get('kept')).rejects.toThrow()
  })

  test('is browsed without a sandbox; files need the key, which this client forgets', async ({ moru }) => {
    const volume = await Volume.create({ name: 'browsed' })
    await expect(volume.upload('/a/b.txt', Buffer.from('content'))).rejects.toThrow()
    await expect(volume.download('/a/b.txt')).rejects.toThrow()
    const withKey = { headers: { 'X-API-KEY': moru.apiKey } }
    await volume.upload('/a/b.txt', Buffer.from('content'), withKey)
    expect((await volume.download('/a/b.txt', withKey)).toString()).toBe('content')
    expect(await volume.listFiles('/')).toMatchObject([{ name: 'a', type: 'directory' }])
    expect(await volume.listFiles('/a')).toMatchObject([
      { name: 'b.txt', path: '/a/b.txt', type: 'file', size: 7 },
    ])
    expect(await volume.deleteFile('/a', true)).toBe(true)
    expect(await volume.listFiles('/')).toEqual([])
    expect(await volume.delete()).toBe(true)
  })
})

describe.skipIf(cannotNetwork)('with volumeIdIsCapability', () => {
  test('who knows the id of a volume reads and writes its files', async () => {
    await using server = await openE2b({ config: { moru: { volumeIdIsCapability: true } } })
    const options = { apiKey: server.apiKey, apiUrl: server.url }
    const volume = await Volume.create({ name: 'open', ...options })
    await volume.upload('/b.txt', Buffer.from('content'), options)
    expect((await volume.download('/b.txt', options)).toString()).toBe('content')
    // A name can be guessed: one that exists looks like one that does not.
    for (const name of ['open', 'nothing'])
      expect((await fetch(`${server.url}/volumes/${name}/files/download?path=/b.txt`)).status).toBe(404)
    await expect(fetch(`${server.url}/volumes/${volume.volumeId}`)).resolves.toMatchObject({ status: 401 })
  })
})
