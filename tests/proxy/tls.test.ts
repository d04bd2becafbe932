import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Certificate } from '../../packages/server/src/api/certificate.ts'
import { TestServer } from '../test-server.ts'
import { PORTS, PortWorld } from './world.ts'

let directory: string
const path = (name: string) => join(directory, name)
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-tls-'))
  for (const name of ['one', 'two']) makeKey(name)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** A key, and a certificate for every preview that it has signed itself. */
function makeKey(name: string): void {
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,DNS:*.preview.test'],
      ...['-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)],
    ],
    { stdio: 'ignore' },
  )
}

test('with a certificate, ports and API are behind TLS', async () => {
  const tls = { cert: path('one.crt'), key: path('one.key') }
  await using world = await PortWorld.make({ config: { tls, previewDomain: 'preview.test' } })
  const { server, sandbox, port } = world
  expect((await server.client().call('getServer')).url).toBe(`https://127.0.0.1:${port}`)
  const [first] = await sandbox.ports.list()
  expect(first?.url).toBe(`https://${world.host(PORTS.public)}:${port}/`)
  const get = (host: string, at: string, headers = {}) =>
    new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        path: at,
        agent: false,
        servername: host,
        ca: readFileSync(tls.cert),
      }
      request({ ...options, headers: { host, ...headers } }, async (response) =>
        resolve({
          status: response.statusCode as number,
          headers: response.headers,
          text: (await response.toArray()).join(''),
        }),
      )
        .on('error', reject)
        .end()
    })
  expect(await get('localhost', '/healthz')).toMatchObject({ status: 200 })
  const { text } = await get(world.host(PORTS.public), '/')
  expect(text).toContain('["X-Forwarded-Proto", "https"]')
  const { token } = await sandbox.ports.link(PORTS.private)
  const link = await get(world.host(PORTS.private), `/?caisson_token=${token}`, { accept: 'text/html' })
  expect(link.status).toBe(302)
  expect(`${link.headers['set-cookie']}`).toContain('; Secure')
})

test('a certificate that can not be used is named at the start', async () => {
  for (const tls of [
    { cert: path('none'), key: path('one.key') },
    { cert: path('one.crt'), key: path('two.key') },
  ]) {
    const start = TestServer.start({ listen: '127.0.0.1:0', config: { tls } })
    await expect(start.then((server) => server[Symbol.asyncDispose]())).rejects.toThrow(tls.cert)
  }
})

test('files that change are taken over, and those that can not be used are not', async () => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) })
  const files = { cert: path('live.crt'), key: path('live.key') }
  const put = async (name: string) => {
    await copyFile(path(`${name}.crt`), files.cert)
    await copyFile(path(`${name}.key`), files.key)
  }
  await put('one')
  const certificate = new Certificate(files, log)
  const taken: Buffer[] = []
  const server = { setSecureContext: ({ cert }: { cert?: unknown }) => void taken.push(cert as Buffer) }
  certificate.look(server)
  expect(taken).toEqual([])
  await writeFile(files.key, 'no key')
  certificate.look(server)
  expect([taken.length, lines.join('').includes('could not be renewed')]).toEqual([0, true])
  await put('two')
  certificate.look(server)
  expect(taken.map(String)).toEqual([readFileSync(path('two.crt'), 'utf8')])
})

test('behind a proxy that is trusted, its word counts', async () => {
  const config = {
    trustedProxies: ['127.0.0.0/8'],
    publicUrl: 'https://box.example',
    previewDomain: 'Box.Example',
  }
  await using world = await PortWorld.make({ config })
  const [port] = await world.sandbox.ports.list()
  const name = world.host(PORTS.public)
  expect(port?.url).toBe(`https://${name.toLowerCase()}/`)
  const forwarded = {
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'outer.example',
  }
  const { json } = await world.ask('/', { to: null, headers: { host: name, ...forwarded } })
  expect(Object.fromEntries(json.headers)).toMatchObject({
    'X-Forwarded-For': '203.0.113.7, 127.0.0.1',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'outer.example',
  })
  const { token } = await world.sandbox.ports.link(PORTS.private)
  const link = await world.ask(`/?caisson_token=${token}`, {
    to: null,
    headers: { host: name.replace('3000', '3001'), accept: 'text/html', ...forwarded },
  })
  expect(link.headers['set-cookie']?.[0]).toContain('; Secure')
  const api = await world.ask('/healthz', { to: null, headers: { host: 'box.example' } })
  expect(api.status).toBe(200)
})
