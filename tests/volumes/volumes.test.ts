import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leftovers, untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, garbage, startSaving, text } from '../saved/world.ts'

const MIB = 1024 ** 2

describe.skipIf(cannotSave !== null)('volumes', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  const boxWith = (volume: string, path = '/data', more: object = {}) =>
    Sandbox.create({ client, volumes: [{ volume, path }], ...more })

  test('are shared by sandboxes that have them, and by no other', async () => {
    const { id } = await client.volumes.create({ name: 'shared' })
    await using one = await boxWith('shared')
    await using other = await boxWith(id, '/mnt/deep/er')
    await using stranger = await Sandbox.create({ client })
    await text(one, 'mkdir /data/d && echo one > /data/d/f && chmod 600 /data/d/f')
    expect(await text(other, 'cat /mnt/deep/er/d/f; stat -c %U:%a /mnt/deep/er/d/f')).toBe('one\nagent:600')
    await text(other, 'echo other >> /mnt/deep/er/d/f')
    expect(await text(one, 'cat /data/d/f')).toBe('one\nother')
    expect(await text(stranger, 'ls -d /data /mnt/deep 2>/dev/null | wc -l')).toBe('0')
    expect(one.info.volumes).toEqual([{ volumeId: id, name: 'shared', path: '/data', readOnly: false }])
    const { mounts } = await client.volumes.get('shared')
    expect(mounts.map(({ path }) => path).sort()).toEqual(['/data', '/mnt/deep/er'])
  })

  test('that are read only are read only', async () => {
    await client.volumes.create({ name: 'given' })
    await client.volumes.files('given').write('/f', 'x', { mode: 0o666 })
    const volumes = [{ volume: 'given', path: '/data', readOnly: true }]
    await using box = await Sandbox.create({ client, volumes })
    expect(await text(box, 'cat /data/f; sudo sh -c "echo y > /data/f" 2>&1 || true')).toMatch(
      /^x.*Read-only/s,
    )
    expect(await client.volumes.files('given').readText('/f')).toBe('x')
  })

  test('outlive sandboxes, pauses and a server that is killed', async () => {
    await client.volumes.create({ name: 'kept' })
    await using box = await boxWith('kept')
    await text(box, 'echo 1 >> /data/log')
    for (const depth of ['memory', 'filesystem', 'workspace'] as const) {
      await box.pause({ depth })
      await expect(client.volumes.delete('kept')).rejects.toMatchObject({ code: 'volume_in_use' })
      await box.resume()
      await text(box, 'echo 1 >> /data/log')
    }
    await server.kill9()
    await server.up()
    await text(box, 'echo 1 >> /data/log')
    await box.delete()
    await using later = await boxWith('kept')
    expect(await text(later, 'wc -l < /data/log')).toBe('5')
  })

  test('are shared with forks, and are in no snapshot or checkpoint', async () => {
    const { id } = await client.volumes.create({ name: 'forked' })
    await using box = await boxWith('forked')
    await text(box, 'echo volume > /data/f; echo own > ~/f')
    const [copy] = await box.fork()
    await using fork = copy!
    await text(fork, 'echo fork >> /data/f')
    expect(await text(box, 'cat /data/f')).toBe('volume\nfork')
    expect(fork.info.volumes).toMatchObject([{ volumeId: id, path: '/data' }])
    await box.checkpoints.create('a')
    await text(box, 'echo later >> /data/f; echo later >> ~/f')
    await box.checkpoints.restore('a')
    expect(await text(box, 'cat /data/f ~/f')).toBe('volume\nfork\nlater\nown')
    const snapshot = await box.snapshot({ name: 'without' })
    await using made = await Sandbox.create({ client, snapshot: snapshot.id })
    expect(made.info.volumes).toEqual([])
    expect(await text(made, 'cat ~/f; ls /data | wc -l')).toBe('own\n0')
  })

  test('hold no more than their size, and sandboxes no more than theirs', async () => {
    await client.volumes.create({ name: 'small', size: '32Mi' })
    await using box = await boxWith('small')
    const fill = await box.sh('head -c 64M /dev/urandom > /data/f')
    expect(fill.stderr).toMatch(/quota|space/)
    const full = client.volumes.files('small').write('/g', new Uint8Array(8 * MIB).fill(1))
    await expect(full).rejects.toMatchObject({ code: 'no_space' })
    expect((await client.volumes.files('small').list()).map(({ name }) => name)).toEqual(['f'])
    await text(box, 'head -c 64M /dev/urandom > ~/f; rm ~/f /data/f')
    await client.volumes.files('small').write('/g', new Uint8Array(8 * MIB).fill(1))
    for (const size of ['1', '100Ti'])
      await expect(client.volumes.create({ name: 'x', size })).rejects.toMatchObject({
        code: 'invalid_request',
      })
  })

  test('are browsed and filled without a sandbox of one’s own', async () => {
    await client.volumes.create({ name: 'browsed' })
    const files = client.volumes.files('browsed')
    expect(await files.list()).toEqual([])
    const name = 'ü\n\'"'
    await files.write(`/a/${name}`, 'hello', { mode: 0o640 })
    expect(await files.stat(`/a/${name}`)).toMatchObject({ size: 5, mode: 0o640, uid: 1000, gid: 1000 })
    expect((await files.list('/', { depth: 9 })).map(({ path }) => path)).toEqual(['/a', `/a/${name}`])
    expect(await files.readText(`/a/${name}`, { offset: 1, length: 3 })).toBe('ell')
    await files.mkdir('/b/c', { mode: 0o700, uid: 0, gid: 0 })
    expect(await files.stat('/b/c')).toMatchObject({ type: 'directory', mode: 0o700, uid: 0 })
    await files.change('/b/c', { uid: 1000, mode: 0o755 })
    await using box = await boxWith('browsed')
    expect(await text(box, 'stat -c %U:%a /data/a/* /data/b/c')).toBe('agent:640\nagent:755')
    await expect(files.remove('/b')).rejects.toMatchObject({ code: 'directory_not_empty' })
    await files.remove('/b', { recursive: true })
    await expect(files.stat('/b')).rejects.toMatchObject({ code: 'file_not_found', details: { path: '/b' } })
    const large = new Uint8Array(40 * MIB).fill(3)
    await files.write('/large', new Blob([large]))
    expect(Buffer.from(await files.read('/large')).equals(large)).toBe(true)
    const listed = await client.call('listSandboxes', { all: true, limit: 100 })
    expect(listed.sandboxes.map(({ description }) => description).join()).not.toContain('keeper')
  })

  test('lead their keeper nowhere', async () => {
    await client.volumes.create({ name: 'hostile' })
    await using box = await boxWith('hostile')
    await text(box, 'cd /data; ln -s / root; ln -s ../../../../.. up; ln -s /proc/1/root proc; mkfifo pipe')
    const files = client.volumes.files('hostile')
    for (const path of ['/root', '/up', '/proc']) {
      const names = (await files.list(path)).map(({ name }) => name)
      expect(names).toContain('volume')
      expect(names).not.toContain('data')
      await expect(files.list(`${path}${server.dataDir}`)).rejects.toMatchObject({
        code: expect.stringMatching(/^file_(not_found|wrong_type)$/),
      })
    }
    await expect(files.read('/pipe')).rejects.toMatchObject({ code: 'file_wrong_type' })
    await text(box, 'rm /data/pipe; ln -s / /data/pipe')
    await files.remove('/pipe', { recursive: true })
    expect(await text(box, 'ls -d /etc /data/root')).toBe('/data/root\n/etc')
  })

  test('that are deleted while they are read break the reading off', async () => {
    await client.volumes.create({ name: 'read' })
    const files = client.volumes.files('read')
    await files.write('/large', new Uint8Array(64 * MIB).fill(5))
    const reading = files.stream('/large')
    await reading.next()
    await client.volumes.delete('read')
    const rest = async () => {
      for await (const _ of reading);
    }
    await expect(rest()).rejects.toThrow()
  })

  test('are kept by nobody when the server stops', async () => {
    await client.volumes.create({ name: 'stopped' })
    await client.volumes.files('stopped').write('/f', 'x')
    const known = (await client.call('listSandboxes')).sandboxes.map(({ id }) => id)
    expect(leftovers(server, known)).not.toEqual([])
    await server.stop()
    expect(leftovers(server, known)).toEqual([])
    await server.up()
    expect(await client.volumes.files('stopped').readText('/f')).toBe('x')
  })

  test('leave nothing behind', async () => {
    for (const { name } of await client.volumes.list()) await client.volumes.delete(name)
    await untilNone('nothing is left behind', async () => [
      ...leftovers(server, []),
      ...(await garbage(client)).filter((one) => !one.startsWith('saved')),
    ])
  })
})
