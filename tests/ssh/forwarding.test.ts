import type { ChildProcess } from 'node:child_process'
import { createConnection, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing, SshWorld, until } from './world.ts'

const reason = missing()
if (reason) console.error(`tests/ssh is skipped: ${reason}`)

/** Answers with what it has received, in capitals, when the client has ended its side. */
const SERVER = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
listener = socket.socket(family)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen()
print('ready', flush=True)
while True:
    peer, _ = listener.accept()
    data = b''
    while True:
        part = peer.recv(65536)
        if not part: break
        data += part
    peer.sendall(data.upper())
    peer.close()
`

describe.skipIf(reason)('ssh -L reaches the loopback of the sandbox and nothing else', () => {
  let world: SshWorld
  let forward: ChildProcess
  const ports = { v4: 0, v6: 0, named: 0, closed: 0, elsewhere: 0 }

  beforeAll(async () => {
    world = await SshWorld.make()
    await world.sandbox.files.write('server.py', SERVER)
    for (const address of ['127.0.0.1:8001', '::1:8002']) {
      const cut = address.lastIndexOf(':')
      const server = await world.sandbox.start([
        'python3',
        'server.py',
        address.slice(0, cut),
        address.slice(cut + 1),
      ])
      await until(async () => (await world.server.cli(['executions', 'get', server.id])).code === 0)
    }
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort()
    const targets = {
      v4: 'localhost:8001',
      v6: 'localhost:8002',
      named: 'work:8001',
      closed: 'localhost:8003',
      elsewhere: '192.0.2.1:80',
    }
    const forwards = Object.entries(targets).flatMap(([name, target]) => [
      '-L',
      `${ports[name as keyof typeof ports]}:${target}`,
    ])
    void world.sshWith(['-N', '-l', 'work', ...forwards], [], {
      onSpawn: (child) => {
        forward = child
      },
    })
    await until(async () => (await talk(ports.v4, Buffer.from('x'))).length === 1)
    await until(async () => (await talk(ports.v6, Buffer.from('x'))).length === 1)
  })
  afterAll(async () => {
    forward?.kill()
    await world?.[Symbol.asyncDispose]()
  })

  test.for(['v4', 'v6', 'named'] as const)(
    'bytes go both ways, and either side may end first (%s)',
    async (name) => {
      const data = Buffer.alloc(3_000_000, 'abc')
      expect((await talk(ports[name], data)).equals(Buffer.from(data.toString().toUpperCase()))).toBe(true)
    },
  )

  test('twenty connections at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => talk(ports.v4, Buffer.from(`number ${i}`))),
    )
    expect(answers.map(String)).toEqual(answers.map((_, i) => `NUMBER ${i}`))
  })

  test.for(['closed', 'elsewhere'] as const)('a connection that can not be is closed (%s)', async (name) => {
    expect((await talk(ports[name], Buffer.from('x'))).length).toBe(0)
  })

  test('the reason is told', async () => {
    const { stderr } = await world.sshWith(['-W', '192.0.2.1:80'], [])
    expect(stderr).toContain("only the sandbox's own loopback can be reached")
    const closed = await world.sshWith(['-W', 'localhost:8003'], [])
    expect(closed.stderr).toContain('Nothing answers on port 8003')
  })

  test('remote forwarding is refused', async () => {
    const { code, stderr } = await world.sshWith(
      ['-o', 'ExitOnForwardFailure=yes', '-R', '9000:localhost:22'],
      ['true'],
    )
    expect(code).toBe(255)
    expect(stderr).toContain('remote port forwarding failed')
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Sends and ends; what comes back. Empty when nobody answers. */
function talk(port: number, data: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    const socket = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('data', (part) => parts.push(part))
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(Buffer.concat(parts)))
    socket.end(data)
  })
}
