import { connect, createServer, type Socket } from 'node:net'
import { Client, run, Sandbox } from 'caisson'
import { expect } from 'vitest'
import { TestServer, temporaryDirectory, test } from '../fixture.ts'

/** Stands between client and server, and breaks each connection after so many bytes of answer, or of both. */
async function breakingProxy(target: string, path: string, after: () => number, both = false) {
  const sockets = new Set<Socket>()
  let broken = 0
  const server = createServer((client) => {
    const upstream = connect(target)
    let left = after()
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    const relay = (from: Socket, to: Socket, counted: boolean) =>
      from.on('data', (data) => {
        if (counted) left -= data.length
        if (left > 0) {
          if (to.write(data)) return
          from.pause()
          to.once('drain', () => from.resume())
          return
        }
        broken++
        client.destroy()
      })
    relay(client, upstream, both)
    relay(upstream, client, true)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    broken: () => broken,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const COUNT = 'seq 1 400000'
const expected = Array.from({ length: 400_000 }, (_, i) => `${i + 1}\n`).join('')

test('output is the same, byte for byte, over connections that break', async ({ server }) => {
  await using folder = await temporaryDirectory()
  const path = `${folder.path}/p.sock`
  await using proxy = await breakingProxy(server.socketPath, path, () => 300_000)
  const client = new Client({ url: `unix://${path}` })
  await using sandbox = await Sandbox.create({ client: server.client() })
  const through = await Sandbox.connect(sandbox.id, { client })
  const { stdout, exitCode } = await through.sh(COUNT)
  expect(exitCode).toBe(0)
  expect(stdout === expected).toBe(true)
  expect(proxy.broken()).toBeGreaterThan(5)
  expect((await sandbox.executions()).length).toBe(1)
  await client.close()
})

test('a command starts once, however often its start is repeated', async ({ server }) => {
  await using folder = await temporaryDirectory()
  const path = `${folder.path}/p.sock`
  let connections = 0
  // The first answers are lost altogether.
  await using _proxy = await breakingProxy(server.socketPath, path, () => (++connections <= 2 ? 1 : 1e9))
  await using sandbox = await Sandbox.create({ client: server.client() })
  const client = new Client({ url: `unix://${path}` })
  const through = await Sandbox.connect(sandbox.id, { client })
  connections = 0
  await client.close()
  const { stdout } = await through.sh('echo once >> log; cat log')
  expect(stdout).toBe('once\n')
  expect((await sandbox.executions()).length).toBe(1)
})

test('a run is not started twice', async ({ server }) => {
  await using folder = await temporaryDirectory()
  const path = `${folder.path}/p.sock`
  await using _proxy = await breakingProxy(server.socketPath, path, () => 1)
  const client = new Client({ url: `unix://${path}` })
  await expect(run(['true'], { client })).rejects.toMatchObject({ code: 'connection_lost' })
})

test('a command is followed through the death and rebirth of the server', async () => {
  await using server = await TestServer.start()
  await using sandbox = await Sandbox.create({ client: server.client() })
  let restarted: Promise<void> | undefined
  const result = await sandbox.sh('for i in $(seq 1 30); do echo $i; sleep 0.1; done', {
    onStdout: (text) => {
      if (/\b5\n/.test(text)) restarted ??= server.kill9().then(() => server.up())
    },
  })
  await restarted
  expect(restarted).toBeDefined()
  expect(result.stdout).toBe(Array.from({ length: 30 }, (_, i) => `${i + 1}\n`).join(''))
  expect(result.exitCode).toBe(0)
})

test('an upload in parts arrives whole over connections that break', async ({ server }) => {
  await using folder = await temporaryDirectory()
  const path = `${folder.path}/p.sock`
  let connections = 0
  // A connection in three is lost almost at once.
  const after = () => (connections++ % 3 === 0 ? 2000 : 700_000)
  await using proxy = await breakingProxy(server.socketPath, path, after, true)
  const client = new Client({ url: `unix://${path}` })
  await using sandbox = await Sandbox.create({ client: server.client() })
  const through = await Sandbox.connect(sandbox.id, { client })
  const bytes = Buffer.from(expected)
  await through.files.write('f', bytes, { resumable: true, partSize: 1_000_000 })
  expect(proxy.broken()).toBeGreaterThan(3)
  expect((await sandbox.files.read('f')).length).toBe(bytes.length)
  expect(Buffer.from(await sandbox.files.read('f')).equals(bytes)).toBe(true)
  await client.close()
})
