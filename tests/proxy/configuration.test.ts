import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TestServer, temporaryDirectory } from '../test-server.ts'

const MAIN = join(import.meta.dirname, '../../packages/server/src/main.ts')

/** What `config` prints, or how it fails. */
function config(dataDir: string, flags: string[], env: Record<string, string> = {}) {
  const args = [MAIN, 'config', '--data-dir', dataDir, ...flags]
  return new Promise<{ code: number; said: string; json: Record<string, unknown> }>((resolve) => {
    execFile(process.execPath, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      const code = (error?.code as number | undefined) ?? 0
      resolve({ code, said: stderr, json: code === 0 ? JSON.parse(stdout) : {} })
    })
  })
}

test('flags and environment', async () => {
  await using directory = await temporaryDirectory()
  const flags = [
    '--listen',
    'off',
    '--public-url',
    'https://box.example:8443/',
    '--preview-domain',
    'Box.Example',
  ]
  const tls = ['--tls-cert', '/a.pem', '--tls-key', '/b.pem']
  expect((await config(directory.path, [...flags, ...tls])).json).toMatchObject({
    listen: null,
    publicUrl: 'https://box.example:8443/',
    previewDomain: 'box.example',
    allowedHosts: ['box.example'],
    tls: { cert: '/a.pem', key: '/b.pem' },
  })
  const environment = {
    CAISSON_TLS_CERT: '/a',
    CAISSON_TLS_KEY: '/b',
    CAISSON_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    CAISSON_LISTEN: '',
  }
  expect((await config(directory.path, [], environment)).json).toMatchObject({
    listen: '127.0.0.1:4700',
    tls: { cert: '/a', key: '/b' },
    trustedProxies: ['10.0.0.0/8', '::1'],
  })
})

test.each<[string[], Record<string, string>, RegExp]>([
  [['--tls-cert', 'a'], {}, /go together/],
  [[], { CAISSON_TLS_CERT: '/a' }, /tls\.key/],
  [[], { CAISSON_TRUSTED_PROXIES: '10.0.0.0/33' }, /"10.0.0.0\/33" is neither an address nor a range/],
  [[], { CAISSON_TRUSTED_PROXIES: 'proxy.example' }, /neither an address/],
  [['--preview-domain', 'a b'], {}, /previewDomain: must be a domain name/],
  [['--public-url', 'ftp://x'], {}, /publicUrl/],
])('%s %s is refused', async (flags, env, message) => {
  await using directory = await temporaryDirectory()
  const { code, said } = await config(directory.path, flags, env)
  expect(code).toBeGreaterThan(0)
  expect(said).toMatch(message)
})

test('the default address may be taken, one that was asked for may not', async () => {
  const other = createServer()
  const bound = await new Promise<boolean>((resolve) => {
    other.once('error', () => resolve(false))
    other.listen(4700, '127.0.0.1', () => resolve(true))
  })
  try {
    await using server = await TestServer.start({ driver: 'memory', env: { CAISSON_LISTEN: '' } })
    expect((await server.client().call('getServer')).url).toBeNull()
    expect(server.log()).toContain('the default one is taken')
    const refused = TestServer.start({ driver: 'memory', listen: 'localhost:4700' })
    await expect(refused.then((made) => made[Symbol.asyncDispose]())).rejects.toThrow('is taken')
  } finally {
    if (bound) other.close()
  }
})
