import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Client } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestServer } from '../test-server.ts'
import { missing, SshWorld, until } from './world.ts'

const reason = missing()
if (reason) console.error(`tests/ssh is skipped: ${reason}`)

describe.skipIf(reason)('who gets in by SSH', () => {
  let world: SshWorld
  let client: Client
  beforeAll(async () => {
    world = await SshWorld.make()
    client = world.server.client()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  test('by id and by name', async () => {
    for (const user of ['work', world.sandbox.id]) expect((await world.ssh(['true'], { user })).code).toBe(0)
  })

  test.for([
    ['ed25519', ['-t', 'ed25519']],
    ['ecdsa', ['-t', 'ecdsa', '-b', '384']],
    ['rsa', ['-t', 'rsa', '-b', '3072']],
  ] as const)('with a key of type %s', async ([name, options]) => {
    const publicKey = await world.makeKey(`of-type-${name}`, ...options)
    await client.call('addSshKey', { publicKey })
    expect((await world.ssh(['echo in'], { key: `of-type-${name}` })).stdout.toString()).toBe('in\n')
  })

  test('a stranger learns nothing: an unknown key looks the same for any user name', async () => {
    await world.makeKey('stranger')
    const answers = await Promise.all(
      ['work', world.sandbox.id, 'nosuch', 'root', '../../x'].map((user) =>
        world.ssh(['true'], { user, key: 'stranger' }),
      ),
    )
    for (const { code, stderr } of answers) {
      expect(code).toBe(255)
      expect(stderr.replace(/^\S+@/, '')).toBe('127.0.0.1: Permission denied (publickey).\r\n')
    }
  })

  test('a sandbox that does not exist is told to who is in', async () => {
    const { code, stderr } = await world.ssh(['true'], { user: 'nosuch' })
    expect(code).toBe(255)
    expect(stderr).toContain('caisson: Sandbox "nosuch" does not exist')
  })

  test('a key that was removed is out, and one that is added again is in', async () => {
    const publicKey = await world.makeKey('guest')
    const { id, fingerprint } = await client.call('addSshKey', { publicKey })
    expect(await client.call('addSshKey', { publicKey })).toMatchObject({ id, fingerprint })
    expect((await world.ssh(['true'], { key: 'guest' })).code).toBe(0)
    await client.call('deleteSshKey', { key: fingerprint })
    expect((await world.ssh(['true'], { key: 'guest' })).code).toBe(255)
    await client.call('addSshKey', { publicKey })
    expect((await world.ssh(['true'], { key: 'guest' })).code).toBe(0)
  })

  test.for([
    ['no key', 'hello', 'it must be a line such as'],
    ['a certificate', 'ssh-ed25519-cert-v01@openssh.com AAAA', 'certificates are not accepted'],
    ['options', 'command="x" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5', 'options before the key'],
    ['damage', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA', 'it is damaged'],
    ['a security token', 'sk-ssh-ed25519@openssh.com AAAA', 'security tokens'],
  ] as const)('%s is refused as a key', async ([, publicKey, message]) => {
    await expect(client.call('addSshKey', { publicKey })).rejects.toThrow(message)
  })

  test('a private key and a weak one are refused as keys', async () => {
    const privateKey = await readFile(world.path('key'), 'utf8')
    await expect(client.call('addSshKey', { publicKey: privateKey })).rejects.toThrow('PRIVATE key')
    const weak = await world.makeKey('weak', '-t', 'rsa', '-b', '1024')
    await expect(client.call('addSshKey', { publicKey: weak })).rejects.toThrow('has 1024')
  })

  test.for([
    ['ciphers', 'Ciphers=aes128-cbc'],
    ['key exchanges', 'KexAlgorithms=diffie-hellman-group14-sha1'],
    ['checksums', 'MACs=hmac-sha1'],
  ] as const)('old %s are refused', async ([, option]) => {
    const cipher = option.startsWith('MACs') ? ['-o', 'Ciphers=aes128-ctr'] : []
    const { code, stderr } = await world.sshWith([...cipher, '-o', option], ['true'])
    expect(code).toBe(255)
    expect(stderr).toContain('no matching')
  })

  test('the host key stays the same over restarts, and its file is private', async () => {
    const { ssh } = await client.call('getServer')
    await world.server.restart()
    await until(async () => (await client.call('getServer')).ssh !== null)
    expect((await client.call('getServer')).ssh?.hostKey).toBe(ssh?.hostKey)
    const known = join(world.server.dataDir, 'ssh_host_ed25519_key')
    expect((await stat(known)).mode & 0o777).toBe(0o600)
    await world.trust()
    expect((await world.ssh(['true'])).code).toBe(0)
  })

  test.for(['SIGKILL', 'SIGTERM'] as const)(
    'a server that ends by %s closes connections, and commands go on',
    async (signal) => {
      const going = world.ssh(['echo started; sleep 1000'])
      const running = async () => {
        const { executions } = await client.call('listExecutions', { id: 'work', state: 'running' })
        return executions[0]
      }
      await until(async () => (await running()) !== undefined)
      if (signal === 'SIGKILL') await world.server.kill9()
      else await world.server.stop()
      expect((await going).code).toBe(255)
      await world.server.up()
      const execution = await running()
      expect(execution).toMatchObject({ tag: 'ssh', state: 'running' })
      await client.call('killExecution', { execution: execution!.id, signal: 'SIGKILL', scope: 'tree' })
      await world.trust()
      expect((await world.ssh(['echo again'])).stdout.toString()).toBe('again\n')
    },
  )
})

describe.skipIf(reason)('where the SSH server listens', () => {
  test('an address that was asked for and is taken is a failed start', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => holder.once('listening', resolve))
    const { port } = holder.address() as { port: number }
    try {
      await expect(TestServer.start({ ssh: `127.0.0.1:${port}` })).rejects.toThrow('taken by another program')
    } finally {
      holder.close()
    }
  })

  test('a server that was not asked for SSH starts without, when the default address is taken', async () => {
    // Whoever has it, it is taken.
    const holder = createServer().on('error', () => {})
    await new Promise((resolve) =>
      holder
        .on('close', resolve)
        .on('error', resolve)
        .listen(2222, '127.0.0.1', () => resolve(0)),
    )
    try {
      await using server = await TestServer.start({ ssh: '127.0.0.1:2222' })
      expect((await server.client().call('getServer')).ssh).toBeNull()
      expect(server.log()).toContain('its default address is taken')
    } finally {
      holder.close()
    }
  })

  test('off is off', async () => {
    await using server = await TestServer.start({ ssh: 'off' })
    expect((await server.client().call('getServer')).ssh).toBeNull()
  })
})
