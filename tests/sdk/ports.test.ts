import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { test as base, TestServer } from '../fixture.ts'

/** `test` with a server that listens on TCP, as exposed ports need it. */
const test = base.extend<{ server: TestServer; sandbox: Sandbox }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture API reads the parameter's shape.
    async ({}, use) => {
      await using server = await TestServer.start({ listen: '127.0.0.1:0' })
      await use(server)
    },
    { scope: 'file' },
  ],
  sandbox: async ({ server }, use) => {
    await using sandbox = await Sandbox.create({ client: server.client() })
    await use(sandbox)
  },
})

/** A program inside that answers every request with these words. */
const answering = (port: number, words: string) =>
  `import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(${JSON.stringify(words)}.encode())
http.server.HTTPServer(("127.0.0.1", ${port}), Handler).serve_forever()`

/** A request to a port by its headers, as programs make it. */
async function ask(sandbox: Sandbox, port: number, token?: string): Promise<Response> {
  const { url } = await sandbox.client.call('getServer')
  const headers = { 'caisson-sandbox-id': sandbox.id, 'caisson-sandbox-port': String(port) }
  return fetch(`${url}/`, {
    headers: { ...headers, ...(token !== undefined && { 'caisson-port-token': token }) },
  })
}

describe('ports', () => {
  test('asked for at creation are there, private unless said otherwise', async ({ server }) => {
    const ports = [{ port: 8080, access: 'public' as const }, 3000]
    await using sandbox = await Sandbox.create({ client: server.client(), ports })
    expect(sandbox.info.ports).toMatchObject([
      { port: 3000, access: 'private' },
      { port: 8080, access: 'public' },
    ])
    expect(await sandbox.ports.list()).toEqual(sandbox.info.ports)
    const host = sandbox.id.replace('_', '-')
    expect(await sandbox.url(8080)).toMatch(new RegExp(`^http://8080-${host}\\.localhost:\\d+`))
  })

  test('are exposed, opened with a token, made public, and closed again', async ({ sandbox }) => {
    expect(await sandbox.ports.list()).toEqual([])
    await expect(sandbox.url(8000)).rejects.toMatchObject({
      code: 'port_not_exposed',
      details: { port: 8000 },
    })
    expect(await sandbox.ports.expose(8000)).toMatchObject({ port: 8000, access: 'private' })
    await sandbox.jobs.start(['python3', '-c', answering(8000, 'hello')])

    const { url, token, expiresAt } = await sandbox.ports.link(8000, { ttl: '10m' })
    expect(url).toMatch(/^http:.*caisson_token=/)
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(600_000)
    expect((await ask(sandbox, 8000)).status).toBe(401)
    await expect.poll(async () => (await ask(sandbox, 8000, token)).status).toBe(200)
    expect(await (await ask(sandbox, 8000, token)).text()).toBe('hello')

    expect(await sandbox.ports.expose(8000, { access: 'public' })).toMatchObject({ access: 'public' })
    expect((await ask(sandbox, 8000)).status).toBe(200)
    await sandbox.ports.unexpose(8000)
    expect((await ask(sandbox, 8000, token)).status).toBeGreaterThanOrEqual(400)
    await expect(sandbox.ports.unexpose(8000)).rejects.toMatchObject({ code: 'port_not_exposed' })
    await expect(sandbox.ports.link(8000)).rejects.toMatchObject({ code: 'port_not_exposed' })
  })

  test('that cannot be are refused, with the reason', async ({ server, sandbox }) => {
    for (const port of [0, 80, 1023, 65_536, 1.5])
      await expect(sandbox.ports.expose(port)).rejects.toMatchObject({ code: 'invalid_request' })
    const client = server.client()
    for (const ports of [[80], [3000, 3000], [3000, { port: 3000, access: 'public' as const }]])
      await expect(Sandbox.create({ client, ports })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(sandbox.ports.link(8000, { ttl: '31d' })).rejects.toThrow()
  })

  test('of a sandbox that has ended are not opened', async ({ server }) => {
    const sandbox = await Sandbox.create({ client: server.client(), ports: [3000] })
    await sandbox.delete()
    await expect(sandbox.ports.link(3000)).rejects.toMatchObject({ code: 'sandbox_ended' })
    await expect(sandbox.ports.expose(3001)).rejects.toMatchObject({ code: 'sandbox_ended' })
  })
})

base('without a TCP listener a port has no address, and it is said why', async ({ server }) => {
  await using sandbox = await Sandbox.create({ client: server.client(), ports: [3000] })
  expect(await sandbox.ports.list()).toEqual([{ port: 3000, access: 'private', url: null }])
  await expect(sandbox.url(3000)).rejects.toMatchObject({
    code: 'not_supported',
    message: expect.stringContaining('--listen'),
  })
  expect(await sandbox.ports.link(3000)).toMatchObject({ url: null, token: expect.any(String) })
})
