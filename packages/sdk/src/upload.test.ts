import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Client } from './client.ts'
import { Files } from './files.ts'
import type { Progress } from './upload.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

/** Keeps what it is sent, as a server does, and breaks the connection when a part has brought so many bytes. */
async function receiver(breakAfter: (part: number) => number = () => Number.POSITIVE_INFINITY) {
  let kept = Buffer.alloc(0)
  let parts = 0
  const asked: string[] = []
  const put = async (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => {
    kept = kept.subarray(0, Number(query.get('offset')))
    const limit = kept.length + breakAfter(parts++)
    for await (const piece of request) {
      kept = Buffer.concat([kept, piece as Buffer]).subarray(0, limit)
      if (kept.length >= limit) return void request.socket.destroy()
    }
    const complete = kept.length === Number(query.get('size'))
    const file = complete ? { name: 'f', size: kept.length } : null
    response.end(JSON.stringify({ offset: kept.length, complete, file, directoriesCreated: ['/d'] }))
  }
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://x')
    asked.push(`${request.method} ${searchParams.get('offset') ?? ''}`.trim())
    if (request.method === 'PUT') void put(request, response, searchParams).catch(() => {})
    else if (request.method === 'GET') response.end(JSON.stringify({ offset: kept.length }))
    else response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new Client({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  open.push(() => {
    void client.close()
    server.closeAllConnections()
    server.close()
  })
  return { files: new Files(client, 'sbx_1'), kept: () => kept, asked }
}

const bytes = Buffer.from(Array.from({ length: 500_000 }, (_, i) => i % 251))
const sources = {
  bytes,
  'a blob': new Blob([bytes]),
  'a function that gives streams': (offset: number) => new Blob([bytes.subarray(offset)]).stream(),
}

describe('an upload in parts', () => {
  test.each(Object.entries(sources))('of %s goes on where the server stopped', async (_, source) => {
    // Each connection brings less than a part, and the first nothing at all.
    const { files, kept, asked } = await receiver((part) => (part < 6 ? part * 20_000 : Infinity))
    const written = await files.write('f', source, {
      resumable: true,
      partSize: 150_000,
      size: bytes.length,
    })
    expect(kept().equals(bytes)).toBe(true)
    expect(written).toMatchObject({ size: bytes.length, directoriesCreated: ['/d'] })
    expect(asked.slice(0, 4)).toEqual(['PUT 0', 'GET', 'PUT 0', 'GET'])
    expect(asked.filter((request) => request === 'GET').length).toBe(6)
    expect(asked).not.toContain('DELETE')
  })

  test('tells how far it has come', async () => {
    const { files } = await receiver()
    const told: Progress[] = []
    const onProgress = (progress: Progress) => void told.push(progress)
    await files.write('f', bytes, { resumable: true, partSize: 200_000, onProgress })
    expect(told.at(-1)).toEqual({ bytes: bytes.length, total: bytes.length })
    expect(told.map((progress) => progress.bytes)).toContain(200_000)
  })

  test('of nothing is one empty part', async () => {
    const { files, asked } = await receiver()
    expect(await files.write('f', '', { resumable: true })).toMatchObject({ size: 0 })
    expect(asked).toEqual(['PUT 0'])
  })

  test('whose source fails is given up, with the own error of the source', async () => {
    const { files, asked } = await receiver()
    const source = async function* () {
      yield bytes.subarray(0, 1000)
      throw new RangeError('the source broke')
    }
    const writing = files.write('f', source, { resumable: true, size: 5000 })
    await expect(writing).rejects.toThrow('the source broke')
    expect(asked.at(-1)).toBe('DELETE')
  })

  test('whose source is shorter than was told is given up', async () => {
    const { files, asked } = await receiver()
    const writing = files.write('f', () => 'abc', { size: 5000 })
    await expect(writing).rejects.toMatchObject({ code: 'invalid_request' })
    expect(asked).not.toContain('GET')
  })

  test('ends when its signal fires', async () => {
    const { files } = await receiver(() => 0)
    const stop = new AbortController()
    const writing = files.write('f', bytes, { resumable: true, signal: stop.signal })
    stop.abort()
    await expect(writing).rejects.toMatchObject({ code: 'aborted' })
  })
})

test('a function without a size is refused', async () => {
  const { files } = await receiver()
  await expect(files.write('f', () => 'abc')).rejects.toThrow(/needs its size/)
})

test('a stream that can be read once fails with the connection', async () => {
  const { files, asked } = await receiver(() => 1000)
  const stream = new Blob([bytes]).stream()
  await expect(files.write('f', stream, { resumable: true })).rejects.toMatchObject({
    code: 'connection_lost',
  })
  expect(asked).toEqual(['PUT'])
})
