import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { TestServer, test } from '../fixture.ts'
import { FileDoor, fetch, open } from './door.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Sends what it has and then breaks the connection, or waits until that is done to it. */
async function* broken(bytes: Uint8Array, keepOpen?: Promise<unknown>): AsyncGenerator<Uint8Array> {
  yield bytes
  await keepOpen
  await sleep(200)
  throw new Error('cut')
}

describe('a whole file', () => {
  test('its digest is checked before it takes its place', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'old')
    const wrong = await door.put('/content', { path: 'f', sha256: sha256(Buffer.from('other')) }, 'new')
    expect([wrong.status, wrong.error]).toEqual([422, 'checksum_mismatch'])
    expect(wrong.json.error.details.actual).toBe(sha256(Buffer.from('new')))
    expect([await door.read('f'), await door.sh('ls')]).toEqual(['old', 'f\n'])
    const right = await door.put('/content', { path: 'f', sha256: sha256(Buffer.from('new')) }, 'new')
    expect([right.status, await door.read('f')]).toEqual([200, 'new'])
  })

  test('digests of what is there', async ({ server }) => {
    const door = await FileDoor.create(server)
    const bytes = randomBytes(3_000_000)
    await door.write('f', bytes)
    for (const algorithm of ['sha256', 'sha512', 'sha1', 'md5']) {
      const digest = createHash(algorithm).update(bytes).digest('hex')
      expect((await door.get('/checksum', { path: 'f', algorithm })).json).toEqual({
        algorithm,
        digest,
        size: bytes.length,
      })
    }
    expect((await door.get('/checksum', { path: '/dev/zero' })).error).toBe('file_wrong_type')
  })
})

describe('a batch', () => {
  test('a thousand files at once', async ({ server }) => {
    const door = await FileDoor.create(server)
    const files = Array.from({ length: 1000 }, (_, i) => ({
      path: `b/d${i % 20}/-f ${i}\n`,
      content: `${i}`,
      mode: i === 7 ? 0o4755 : undefined,
    }))
    const { json } = await door.post('/batch', {}, { files })
    expect(json).toMatchObject({ files: 1000, bytes: 2890 })
    expect(json.directoriesCreated).toHaveLength(21)
    expect(await door.sh('find b -type f | grep -c f && find b/d7 -name "-f 7?" -printf "%m\\n"')).toBe(
      '1000\n755\n',
    )
  })

  test('the failing file is named, and those before it stay', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('file', 'x')
    const files = ['a', 'b', 'file/c', 'd'].map((path) => ({ path, content: path }))
    const { error, json } = await door.post('/batch', {}, { files })
    expect([error, json.error.details.path]).toEqual(['file_wrong_type', 'file/c'])
    expect(json.error.message).toContain('2 entries before it were written')
    expect(await door.sh('ls')).toBe('a\nb\nfile\n')
    const denied = await door.post('/batch', {}, { files: [{ path: '/etc/x', content: '' }] })
    expect(denied.error).toBe('file_denied')
  })
})

describe('a resumable upload', () => {
  const bytes = randomBytes(6_000_000)
  const size = bytes.length

  test('in parts, with a digest over all of them', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'old')
    const query = { path: 'f', size, sha256: sha256(bytes), mode: 0o600 }
    for (let offset = 0; offset < size; offset += 2_500_000) {
      expect((await door.get('/uploads/u', { path: 'f' })).json.offset).toBe(offset)
      expect(await door.read('f')).toBe('old')
      const part = bytes.subarray(offset, offset + 2_500_000)
      const { json } = await door.put('/uploads/u', { ...query, offset }, part)
      expect(json).toMatchObject({ offset: offset + part.length, complete: offset + part.length === size })
    }
    expect((await door.get('/content', { path: 'f' })).body.equals(bytes)).toBe(true)
    expect(await door.sh('ls -A | grep -v ^.[bp] ; stat -c %a f')).toBe('f\n600\n')
  })

  test('a digest that is wrong gives it up and leaves the old file', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'old')
    const query = { path: 'f', size: 10, sha256: sha256(Buffer.from('others')) }
    await door.put('/uploads/u', { ...query, offset: 0 }, 'abcde')
    expect((await door.put('/uploads/u', { ...query, offset: 5 }, 'fghij')).error).toBe('checksum_mismatch')
    expect((await door.put('/uploads/v', { ...query, offset: 0 }, 'abcdefghij')).error).toBe(
      'checksum_mismatch',
    )
    for (const name of ['u', 'v'])
      expect((await door.get(`/uploads/${name}`, { path: 'f' })).json.offset).toBe(0)
    expect(await door.read('f')).toBe('old')
  })

  test('offsets: lower is taken, beyond is refused, and so are too many bytes', async ({ server }) => {
    const door = await FileDoor.create(server)
    const at = (offset: number, part: string) => door.put('/uploads/u', { path: 'f', size: 10, offset }, part)
    await at(0, 'abcdXX')
    expect((await at(7, 'x')).json.error).toMatchObject({ code: 'upload_offset', details: { offset: 6 } })
    expect((await at(11, 'x')).error).toBe('invalid_request')
    expect((await at(6, 'too much')).error).toBe('payload_too_large')
    expect((await at(4, 'efgh')).json.offset).toBe(8)
    expect((await at(8, 'ij')).json).toMatchObject({ complete: true, file: { size: 10 } })
    expect(await door.read('f')).toBe('abcdefghij')
    expect((await at(0, '')).json).toMatchObject({ offset: 0, complete: false })
  })

  test('is bound to its path and its name, and can be given up', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.put('/uploads/u', { path: 'f', size: 10, offset: 0 }, 'abc')
    expect((await door.get('/uploads/u', { path: 'g' })).json.offset).toBe(0)
    expect((await door.get('/uploads/w', { path: 'f' })).json.offset).toBe(0)
    for (const name of ['..%2fx', 'a.b', `${'x'.repeat(65)}`])
      expect((await door.get(`/uploads/${name}`, { path: 'f' })).status).toBe(400)
    const path = door.path('/uploads/u', { path: 'f' })
    expect((await fetch(server, 'DELETE', path)).status).toBe(204)
    expect((await door.get('/uploads/u', { path: 'f' })).json.offset).toBe(0)
    expect(await door.sh('ls -A | grep -v "^.[bp]"; true')).toBe('')
  })

  test('cut connections keep what came', async ({ server }) => {
    const door = await FileDoor.create(server)
    const query = { path: 'f', size, sha256: sha256(bytes) }
    let offset = 0
    for (let cut = 0; offset < size - 700_000; cut++) {
      const body = broken(bytes.subarray(offset, offset + 700_000 + cut))
      await open(server, 'PUT', door.path('/uploads/u', { ...query, offset }), { body }).catch(() => {})
      await expect
        .poll(async () => (await door.get('/uploads/u', { path: 'f' })).json.offset, { timeout: 10_000 })
        .toBeGreaterThan(offset)
      offset = (await door.get('/uploads/u', { path: 'f' })).json.offset
    }
    const { json } = await door.put('/uploads/u', { ...query, offset }, bytes.subarray(offset))
    expect(json.complete).toBe(true)
    expect((await door.get('/checksum', { path: 'f' })).json.digest).toBe(sha256(bytes))
  })

  test('goes on after the server was killed', { timeout: 60_000 }, async () => {
    await using server = await TestServer.start()
    const door = await FileDoor.create(server)
    await door.write('f', 'old')
    const query = { path: 'f', size, sha256: sha256(bytes) }
    const killed = Promise.withResolvers<void>()
    const body = broken(bytes.subarray(0, 3_000_000), killed.promise)
    const sent = open(server, 'PUT', door.path('/uploads/u', { ...query, offset: 0 }), { body }).catch(
      () => {},
    )
    await expect
      .poll(async () => Number(await door.sh('find . -maxdepth 1 -type f -size +1M -printf %s')), {
        timeout: 10_000,
      })
      .toBe(3_000_000)
    await server.kill9()
    killed.resolve()
    await sent
    await server.up()
    expect(await door.read('f')).toBe('old')
    const { offset } = (await door.get('/uploads/u', { path: 'f' })).json
    expect(offset).toBe(3_000_000)
    const { json } = await door.put('/uploads/u', { ...query, offset }, bytes.subarray(offset))
    expect([json.complete, (await door.get('/checksum', { path: 'f' })).json.digest]).toEqual([
      true,
      sha256(bytes),
    ])
  })
})
