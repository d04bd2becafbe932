import { readFile, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestServer } from '../test-server.ts'
import { missing, SshWorld } from './world.ts'

const reason = missing()
if (reason) console.error(`tests/ssh is skipped: ${reason}`)

describe.skipIf(reason)('caisson ssh, scp and ssh-keys', () => {
  let world: SshWorld
  beforeAll(async () => {
    world = await SshWorld.make()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  const cli = (args: string[], input?: string) =>
    world.server.cli(args, {
      env: { XDG_STATE_HOME: world.path('state') },
      ...(input !== undefined && { input }),
    })
  const json = async (...args: string[]) => JSON.parse((await cli([...args, '--json'])).stdout)

  test('ssh runs a command, asks nothing, and ends with its code', async () => {
    const { code, stdout, stderr } = await cli(['ssh', '-i', world.path('key'), 'work', 'echo out; exit 7'])
    expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: 'out\n', stderr: '' })
  })

  test('options may follow the sandbox; those of the command are its own', async () => {
    const { stdout } = await cli(['ssh', 'work', '-i', world.path('key'), 'printf', '%s', '-i'])
    expect(stdout).toBe('-i')
  })

  test('what follows -- is the command; -o is for ssh', async () => {
    const { stdout } = await cli([
      'ssh',
      '-i',
      world.path('key'),
      'work',
      '-o',
      'SetEnv=A=5',
      '--',
      'echo $A',
    ])
    expect(stdout).toBe('5\n')
  })

  test('--show prints a line that a shell runs', async () => {
    const { stdout, code } = await cli(['ssh', 'work', '--show', 'echo', 'a  b'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ssh -p \d+ -o HostKeyAlias=caisson-\w+ .* -l work 127\.0\.0\.1 echo 'a {2}b'\n$/)
    const shown = await json('ssh', 'work', '--show')
    expect(shown).toMatchObject({ program: 'ssh', user: 'work', host: '127.0.0.1', port: world.port })
    expect((await stat(shown.knownHosts)).mode & 0o777).toBe(0o600)
    expect(await readFile(shown.knownHosts, 'utf8')).toMatch(/^caisson-\w+ ssh-ed25519 \S+\n$/)
  })

  test('a server elsewhere is reached where its API is', async () => {
    await using server = await TestServer.start({ ssh: '0.0.0.0:0', listen: '127.0.0.1:0' })
    const { key } = await server.client().call('createKey', { name: 'all', scopes: ['admin', 'read'] })
    const { url } = await server.client().call('getServer')
    const env = { CAISSON_URL: url!.replace('127.0.0.1', 'localhost'), CAISSON_API_KEY: key }
    const { stdout } = await server.cli(['ssh', 'work', '--show', '--json'], {
      env: { ...env, XDG_STATE_HOME: world.path('state') },
    })
    expect(JSON.parse(stdout)).toMatchObject({ host: 'localhost' })
  })

  test('scp copies up and down', async () => {
    const key = ['-i', world.path('key')]
    expect((await cli(['scp', ...key, world.path('key.pub'), 'work:copied key'])).code).toBe(0)
    expect((await cli(['scp', ...key, `${world.sandbox.id}:copied key`, world.path('back')])).code).toBe(0)
    expect(await readFile(world.path('back'))).toEqual(await readFile(world.path('key.pub')))
  })

  test.for([
    [['scp', 'a', 'b'], 'None of these is in a sandbox'],
    [['scp', 'work:a'], 'Write what to copy'],
    [['ssh', '-oProxyCommand=x'], 'missing required argument'],
    [['ssh', '--', 'x'], 'missing required argument'],
    [['ssh', 'UPPER'], 'is no id or name'],
    [['ssh', 'work', '--json'], 'use it with --show'],
  ] as const)('%j is wrong usage', async ([args, message]) => {
    const { code, stderr } = await cli([...args])
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  test('keys are added from a file or stdin, listed and removed', async () => {
    const publicKey = await world.makeKey('another')
    const added = await json('ssh-keys', 'add', world.path('another.pub'), '--name', 'mine')
    expect(added).toMatchObject({ name: 'mine', type: 'ssh-ed25519' })
    const again = await cli(['ssh-key', 'add', '-'], publicKey)
    expect(again.stdout).toContain(added.fingerprint)
    expect((await cli(['ssh-keys', 'ls'])).stdout).toMatch(
      new RegExp(`${added.id} +mine +ssh-ed25519 +SHA256:`),
    )
    expect(await json('ssh-keys', 'rm', added.fingerprint)).toEqual({ deleted: [added.fingerprint] })
    const gone = await cli(['ssh-keys', 'rm', added.id])
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining('does not exist')])
  })

  test('a private key is not sent', async () => {
    const { code, stderr } = await cli(['ssh-keys', 'add', world.path('key')])
    expect(code).toBe(2)
    expect(stderr).toContain('is a PRIVATE key and was not sent')
  })
})
