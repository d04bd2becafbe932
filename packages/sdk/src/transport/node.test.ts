import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Client } from '../client.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

async function serve(listener: RequestListener): Promise<Client> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new Client({ url: `http://127.0.0.1:${port}`, apiKey: 'csk_secret' })
  open.push(() => {
    void client.close()
    server.closeAllConnections()
    server.close()
  })
  return client
}

describe('requests', () => {
  test('carry the key, and keep one connection', async () => {
    const sockets = new Set<unknown>()
    const keys: unknown[] = []
    const client = await serve((request, response) => {
      sockets.add(request.socket)
      keys.push(request.headers.authorization)
      response.end(JSON.stringify({ keys: [] }))
    })
    for (let i = 0; i < 3; i++) expect(await client.call('listKeys')).toEqual({ keys: [] })
    expect(sockets.size).toBe(1)
    expect(new Set(keys)).toEqual(new Set(['Bearer csk_secret']))
  })

  test('do not follow a redirect, which would carry the key elsewhere', async () => {
    let reached = 0
    const client = await serve((_, response) => {
      reached++
      response.writeHead(307, { location: '/elsewhere' }).end()
    })
    await expect(client.call('listKeys')).rejects.toMatchObject({ code: 'server_unreachable' })
    expect(reached).toBe(1)
  })

  test('put path parameters where nothing in them can change the route', async () => {
    let path: string | undefined
    const client = await serve((request, response) => {
      path = request.url
      response.end('{}')
    })
    await client.call('getSandbox', { id: '../keys?x=1#/%2e' })
    expect(path).toBe('/v1/sandboxes/..%2Fkeys%3Fx%3D1%23%2F%252e')
  })

  test('repeat what changes nothing when the connection breaks, and nothing else', async () => {
    const seen: string[] = []
    const client = await serve((request, response) => {
      seen.push(request.method ?? '')
      if (seen.length % 2 === 1) return void request.socket.destroy()
      response.end('{}')
    })
    expect(await client.call('getSandbox', { id: 'a' })).toEqual({})
    expect(seen).toEqual(['GET', 'GET'])
    const creating = client.call('createKey', { name: 'a', scopes: ['read'] })
    await expect(creating).rejects.toMatchObject({ code: 'connection_lost' })
    expect(seen).toEqual(['GET', 'GET', 'POST'])
  })

  test('tell an answer of something else from one of a server', async () => {
    const client = await serve((_, response) => response.writeHead(502).end('<html>Bad gateway'))
    await expect(client.call('createKey', { name: 'a', scopes: ['read'] })).rejects.toMatchObject({
      code: 'connection_lost',
      message: expect.stringContaining('status 502'),
    })
  })

  test('end with aborted when the signal fires', async () => {
    const stop = new AbortController()
    const client = await serve(() => stop.abort(new Error('enough')))
    await expect(client.call('getSandbox', { id: 'a' }, { signal: stop.signal })).rejects.toMatchObject({
      code: 'aborted',
    })
  })

  test('say where nobody answers', async () => {
    const client = new Client({ url: 'unix:///nonexistent/api.sock' })
    await expect(client.call('getServer')).rejects.toMatchObject({
      code: 'server_unreachable',
      details: { url: 'unix:///nonexistent/api.sock' },
    })
  })
})
