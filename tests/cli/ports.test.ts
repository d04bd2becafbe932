import { describe, expect } from 'vitest'
import { test as base, TestServer } from '../fixture.ts'

/** `test` with a server that listens on TCP, as exposed ports need it. */
const test = base.extend<{ server: TestServer; id: string }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using server = await TestServer.start({ listen: '127.0.0.1:0' })
      await use(server)
    },
    { scope: 'file' },
  ],
  id: async ({ server }, use) => {
    const id = (await server.cli(['create'])).stdout.trim()
    await use(id)
    await server.cli(['delete', id])
  },
})

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
async function json(server: TestServer, ...args: string[]): Promise<any> {
  const { stdout, stderr, code } = await server.cli([...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

const host = (id: string, port: number) => `${port}-${id.replace('_', '-')}.localhost`

describe('ports at creation', () => {
  test('are told beside the id: an address, and for a private one a link', async ({ server }) => {
    const { stdout, stderr } = await server.cli(['create', '--port', '3000', '--public-port', '8080'])
    const id = stdout.trim()
    expect(id).toMatch(/^sbx_\w+$/)
    expect(stderr).toMatch(
      new RegExp(`port 3000 \\(private, .*\\): http://${host(id, 3000)}:\\d+/\\?caisson_token=`),
    )
    expect(stderr).toMatch(new RegExp(`port 8080 \\(public\\): http://${host(id, 8080)}:\\d+/?\\n`))
    const shown = (await server.cli(['get', id])).stdout
    expect(shown).toMatch(new RegExp(`port +3000 private +http://${host(id, 3000)}`))
    expect((await server.cli(['list'])).stdout).toContain('3000,8080')
    await server.cli(['delete', id])
  })

  test('are in the document with their links', async ({ server }) => {
    const { id, ports } = await json(server, 'create', '--port', '3000', '--public-port', '8080')
    expect(ports).toMatchObject([
      { port: 3000, access: 'private', link: { url: expect.stringContaining('caisson_token=') } },
      { port: 8080, access: 'public', url: expect.stringContaining(host(id, 8080)), link: null },
    ])
    expect(ports[0].link.url).toContain(encodeURIComponent(ports[0].link.token))
    await server.cli(['delete', id])
  })

  test('of a single command are told when it has started', async ({ server }) => {
    const program = 'import time; time.sleep(2)'
    const { code, stderr } = await server.cli([
      'run',
      '--public-port',
      '8000',
      '--',
      'python3',
      '-c',
      program,
    ])
    expect(code).toBe(0)
    expect(stderr).toMatch(/port 8000 \(public\): http:\/\/8000-sbx-\w+\.localhost:\d+/)
    const asJson = await server.cli(['run', '--json', '--port', '8000', '--', 'python3', '-c', program])
    expect(JSON.parse(asJson.stderr).ports).toMatchObject([
      { port: 8000, link: { token: expect.any(String) } },
    ])
    expect(JSON.parse(asJson.stdout).exitCode).toBe(0)
  })

  test('that cannot be are wrong usage, or refused with the reason', async ({ server }) => {
    for (const args of [
      ['--port', '80'],
      ['--port', 'x'],
      ['--port', '3000', '--public-port', '3000'],
    ])
      expect(await server.cli(['create', ...args])).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('ports of a sandbox', () => {
  test('are added, listed, changed and removed', async ({ server, id }) => {
    const added = await server.cli(['port', 'add', id, '3000'])
    expect(added.stdout).toMatch(new RegExp(`^http://${host(id, 3000)}:\\d+/\\?caisson_token=\\S+\\n$`))
    expect(added.stderr).toContain('caisson-port-token: ')
    expect(await json(server, 'port', 'ls', id)).toMatchObject({ ports: [{ port: 3000, access: 'private' }] })

    const changed = await server.cli(['ports', 'add', id, '3000', '--public'])
    expect(changed.stdout).toMatch(new RegExp(`^http://${host(id, 3000)}:\\d+/?\\n$`))
    expect((await server.cli(['port', 'list', id])).stdout).toMatch(
      /PORT +ACCESS +ADDRESS\n3000 +public +http:/,
    )

    expect((await server.cli(['port', 'rm', id, '3000'])).stdout).toBe('removed 3000\n')
    expect(await json(server, 'port', 'list', id)).toEqual({ ports: [], allPorts: null })
    expect((await server.cli(['port', 'list', id])).stderr).toContain('no ports are exposed')
    expect(await server.cli(['port', 'rm', id, '3000'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`caisson port add`),
    })
  })

  test('get links that open them', async ({ server, id }) => {
    await server.cli(['port', 'add', id, '8000'])
    await server.cli([
      'job',
      'create',
      id,
      '--',
      'python3',
      '-m',
      'http.server',
      '8000',
      '--bind',
      '127.0.0.1',
    ])
    const { token, expiresAt } = await json(server, 'port', 'link', id, '8000', '--ttl', '1h')
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now())
    const { url } = await json(server, 'server', 'status')
    const named = { 'caisson-sandbox-id': id, 'caisson-sandbox-port': '8000' }
    const get = (headers: Record<string, string>) => fetch(`${url}/`, { headers: { ...named, ...headers } })
    expect((await get({})).status).toBe(401)
    await expect.poll(async () => (await get({ 'caisson-port-token': token })).status).toBe(200)
    expect((await server.cli(['port', 'link', id, '8000'])).stdout).toMatch(/^http:.*caisson_token=/)
    expect(await server.cli(['port', 'link', id, '9000'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not exposed'),
    })
    expect(await server.cli(['port', 'link', id, '8000', '--ttl', '31d'])).toMatchObject({ code: 1 })
  })

  test('cannot be public and private', async ({ server, id }) => {
    expect(await server.cli(['port', 'add', id, '3000', '--public', '--private'])).toMatchObject({ code: 2 })
  })
})

base('without a TCP listener a port has no address, and it is said how to get one', async ({ server }) => {
  const { id, stderr } = await server
    .cli(['create', '--port', '3000'])
    .then(({ stdout, stderr }) => ({ id: stdout.trim(), stderr }))
  expect(stderr).toContain('--listen')
  const added = await server.cli(['port', 'add', id, '3001', '--public'])
  expect(added).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('--listen') })
  expect((await server.cli(['server', 'status'])).stdout).toContain('not over TCP')
  await server.cli(['delete', id])
})
