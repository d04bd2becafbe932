import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { expect, test } from 'vitest'
import { dial } from './dial.ts'

const never = new AbortController().signal

async function listening(address = '127.0.0.1'): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const server = createServer((socket) => socket.on('error', () => {}))
  server.listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return { server, port, [Symbol.asyncDispose]: async () => void server.close() }
}

test('the first address that answers is taken, in their order', async () => {
  await using there = await listening()
  const { socket, address } = await dial(['127.0.0.1', '127.0.0.1'], there.port, never)
  expect(address).toBe('127.0.0.1')
  socket.destroy()
  const second = await dial(['127.0.0.66', '127.0.0.1'], there.port, never)
  expect(second.address).toBe('127.0.0.1')
  second.socket.destroy()
})

test('an address that is silent does not hold up the next, and is given up', async () => {
  // Nobody accepts here, and the backlog of one is full: connections hang.
  const silent = createServer()
  await using there = await listening()
  silent.listen({ port: there.port, host: '127.0.0.67', backlog: 1 })
  await once(silent, 'listening')
  const { socket, address } = await dial(['127.0.0.66', '127.0.0.67', '127.0.0.1'], there.port, never)
  expect(['127.0.0.67', '127.0.0.1']).toContain(address)
  socket.destroy()
  silent.close()
})

test('the last failure is told when no address answers', async () => {
  await expect(dial(['127.0.0.66', '127.0.0.67'], 1, never)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('an abort ends it, before and during', async () => {
  const reason = new Error('enough')
  await expect(dial(['127.0.0.1'], 1, AbortSignal.abort(reason))).rejects.toBe(reason)
  const controller = new AbortController()
  // An address of the documentation: no route or no answer.
  const dialling = dial(['192.0.2.1'], 9, controller.signal)
  controller.abort(reason)
  await expect(dialling).rejects.toBe(reason)
})
