import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EgressWorld } from './egress.test-kit.ts'
import { openEgress } from './index.ts'

const program = `
  import { connect } from 'node:net'
  import { once } from 'node:events'
  const { openEgress } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))})
  const policy = { judgeName: () => ({ allowed: true, rule: 'r', message: 'm' }) }
  const egress = await openEgress({
    facts: { address4: '127.0.0.1', address6: null },
    ports: { http: 0, tls: 0 },
    resolver: { resolve: () => new Promise(() => {}) },
    find: () => ({ id: 'sbx', policy, observe() {}, async pin() {} }),
    log: console,
  })
  for (const { port } of egress.listeners) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write('GET / HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n')
  }
  while (egress.size === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  await egress.close()
  console.log('closed')
`

test('a process that closes the proxies can end: nothing keeps it', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await once(child.stdout, 'data')
  expect(String(said)).toBe('closed\n')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a port that is taken is told, and nothing stays open', async () => {
  await using world = await EgressWorld.open()
  const taken = world.port('http')
  const open = () =>
    openEgress({
      facts: { address4: '127.0.0.1', address6: null },
      ports: { http: taken, tls: 0 },
      resolver: { resolve: async () => [] },
      find: () => null,
      log: null as never,
    })
  await expect(open()).rejects.toMatchObject({ code: 'EADDRINUSE' })
  await expect(open()).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

const noIPv6 = networkInterfaces().lo?.some(({ family }) => family === 'IPv6') ? null : 'loopback has no IPv6'

test.skipIf(noIPv6)(`IPv6 has its own listeners${noIPv6 ? `: ${noIPv6}` : ''}`, async () => {
  const asked: string[] = []
  const egress = await openEgress({
    facts: { address4: '127.0.0.1', address6: '::1' },
    ports: { http: 0, tls: 0 },
    resolver: { resolve: async () => [] },
    find: (address) => {
      asked.push(address)
      return null
    },
    log: null as never,
  })
  const at = egress.listeners.map(({ protocol, address }) => `${protocol} ${address}`)
  expect(at).toEqual(['tls 127.0.0.1', 'http 127.0.0.1', 'tls ::1', 'http ::1'])
  for (const { address, port } of egress.listeners) {
    const socket = connect(port, address)
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
  }
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1', '::1', '::1'])
  await egress.close()
})
