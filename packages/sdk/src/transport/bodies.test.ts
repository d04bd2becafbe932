import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { ArchiveDownload } from '../archive.ts'
import { createNodeTransport } from './node.ts'
import { gather } from './transport.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

async function serve(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const transport = createNodeTransport(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  open.push(() => {
    transport.close()
    server.closeAllConnections()
    server.close()
  })
  return transport
}

const get = { method: 'GET', path: '/', headers: {} }
const endless = async function* () {
  for (;;) yield Buffer.alloc(65_536)
}

test('a slow reader holds the sender back', async () => {
  let sent = 0
  const transport = await serve((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536
    }
    response.on('drain', more)
    more()
  })
  const { body } = await transport.request(get)
  let read = 0
  for await (const piece of body) {
    read += piece.length
    if (read > 1_000_000) break
    await sleep(1)
  }
  // What the sockets and both ends hold, however long it takes.
  expect(sent).toBeLessThan(32_000_000)
})

test('an answer that breaks off is not taken for the whole, whether anybody reads or not', async () => {
  const transport = await serve((_, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('abc')
    setTimeout(() => response.destroy(), 20)
  })
  const first = await transport.request(get)
  await expect(gather(first.body)).rejects.toMatchObject({ code: 'connection_lost' })
  const second = await transport.request(get)
  await sleep(100)
  await expect(gather(second.body)).rejects.toMatchObject({ code: 'connection_lost' })
})

test('an answer in the middle of a body of known length ends the sending, and the connection', async () => {
  const sockets = new Set<unknown>()
  const transport = await serve((request, response) => {
    sockets.add(request.socket)
    response.end('enough')
  })
  for (let i = 0; i < 3; i++) {
    const sending = { method: 'PUT', path: '/', headers: {}, body: endless(), length: 1e12 }
    const { body } = await transport.request(sending)
    expect(Buffer.from(await gather(body)).toString()).toBe('enough')
    const next = await transport.request(get)
    expect(Buffer.from(await gather(next.body)).toString()).toBe('enough')
  }
  expect(sockets.size).toBeGreaterThan(3)
})

test('what is told after a body is known at its end', async () => {
  const transport = await serve((_, response) => {
    response.writeHead(200, { trailer: 'x-caisson-skipped' })
    response.write('archive')
    response.addTrailers({ 'x-caisson-skipped': '3' })
    response.end()
  })
  const archive = new ArchiveDownload(await transport.request(get))
  expect(archive.skipped).toBeUndefined()
  expect(Buffer.from(await gather(archive)).toString()).toBe('archive')
  expect(archive.skipped).toBe(3)
})
