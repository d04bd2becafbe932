import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import type { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { WebSocket } from 'ws'
import { CLIENTS } from './clients.ts'
import { cannotNetwork, type E2b, test as withServer } from './fixture.ts'

/** Tells what it was asked; `/hang` never answers, `/begin` begins to. */
const PROGRAM = `
import http.server, json, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.path == '/hang': time.sleep(600)
        body = json.dumps(dict(path=self.path, headers={k.lower(): v for k, v in self.headers.items()})).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body) + (9 if self.path == '/begin' else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if self.path == '/begin': time.sleep(600)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
print('listening', flush=True)
server.serve_forever()
`
const PORT = 8080

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  json: any
}

/** Programs resolve no "*.localhost", and fetch sends no Host of one's own. @param begun called with the head of the answer */
function ask(
  e2b: E2b,
  host: string,
  headers: OutgoingHttpHeaders = {},
  path = '/',
  begun = () => {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: new URL(e2b.url).port, path, agent: false, headers: { host, ...headers } },
      async (answer) => {
        begun()
        try {
          const parts: Buffer[] = []
          for await (const part of answer) parts.push(part)
          const text = Buffer.concat(parts).toString()
          const isJson = answer.headers['content-type']?.startsWith('text/plain') !== true
          resolve({
            status: answer.statusCode as number,
            headers: answer.headers,
            json: isJson ? JSON.parse(text) : undefined,
          })
        } catch (error) {
          reject(error)
        }
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}

async function serve(sandbox: Sandbox): Promise<void> {
  await sandbox.files.write('/home/user/program.py', PROGRAM)
  const heard = Promise.withResolvers<void>()
  await sandbox.commands.run(`python3 /home/user/program.py ${PORT}`, {
    background: true,
    timeoutMs: 0,
    onStdout: () => heard.resolve(),
  })
  await heard.promise
}

interface Made {
  open: Sandbox
  closed: Sandbox
}

/** One sandbox whose ports are public and one whose ports are not, which all tests of a file share. */
const test = withServer.extend<{ made: Made }>({
  made: [
    async ({ e2b }, use) => {
      const { 'e2b 2.51': Client } = CLIENTS
      const network = { allowPublicTraffic: false, maskRequestHost: `localhost:${'$'}{PORT}` }
      const open = await Client.create(e2b.options)
      const closed = await Client.create({ ...e2b.options, network })
      await Promise.all([serve(open), serve(closed)])
      await use({ open, closed })
      await Promise.all([open.kill(), closed.kill()])
    },
    { scope: 'file' },
  ],
})

describe.skipIf(cannotNetwork)('ports of a sandbox that a client of E2B has made', () => {
  test('are reached by the host that the client gives', async ({ e2b, made: { open } }) => {
    const host = open.getHost(PORT)
    expect(host).toBe(`${PORT}-${open.sandboxId}.localhost:${new URL(e2b.url).port}`)
    const { status, json } = await ask(e2b, host, {}, '/a?b=1')
    expect([status, json.path, json.headers.host]).toEqual([200, '/a?b=1', host])
  })

  test('are reached by the headers that the client sends', async ({ e2b, made: { open } }) => {
    for (const family of ['E2b', 'Moru']) {
      const named = { [`${family}-Sandbox-Id`]: open.sandboxId, [`${family}-Sandbox-Port`]: `${PORT}` }
      expect((await ask(e2b, 'localhost', named)).status).toBe(200)
      const { [`${family}-Sandbox-Port`]: _, ...half } = named
      expect((await ask(e2b, 'localhost', half)).status).toBe(400)
    }
  })

  test('say that nobody listens', async ({ e2b, made: { open } }) => {
    const { status, json } = await ask(e2b, open.getHost(4321))
    expect([status, json]).toEqual([
      502,
      {
        sandboxId: open.sandboxId,
        message: 'The sandbox is running but port is not open',
        port: 4321,
        code: 502,
      },
    ])
  })
})

describe.skipIf(cannotNetwork)('private ports', () => {
  test('ask for the token that the client was given, and hide it', async ({ e2b, made: { closed } }) => {
    const token = closed.trafficAccessToken as string
    const host = closed.getHost(PORT)
    const denied = await ask(e2b, host)
    expect([denied.status, denied.json.code, denied.json.sandboxId]).toEqual([403, 403, closed.sandboxId])
    for (const name of ['e2b-traffic-access-token', 'moru-traffic-access-token', 'x-access-token']) {
      const { status, json } = await ask(e2b, host, { [name]: token })
      expect([status, JSON.stringify(json).includes(token)]).toEqual([200, false])
      expect((await ask(e2b, host, { [name]: `${token}A` })).status).toBe(403)
    }
  })

  test('tell their programs the Host that was asked for', async ({ e2b, made: { closed } }) => {
    const headers = { 'e2b-traffic-access-token': closed.trafficAccessToken as string }
    const { json } = await ask(e2b, closed.getHost(PORT), headers)
    expect([json.headers.host, json.headers['x-forwarded-host']]).toEqual([
      `localhost:${PORT}`,
      closed.getHost(PORT),
    ])
  })

  test('are WebSockets as well', async ({ e2b, made: { closed } }) => {
    const status = (headers: Record<string, string>) =>
      new Promise((resolve) => {
        const socket = new WebSocket(e2b.url.replace('http', 'ws'), {
          headers: { host: closed.getHost(PORT), ...headers },
        })
        socket.on('error', () => {})
        socket.once('unexpected-response', (_, answer) => {
          resolve(answer.statusCode)
          answer.destroy()
        })
      })
    expect(await status({})).toBe(403)
    // The program knows no WebSocket and answers as to any request: it was reached.
    expect(await status({ 'e2b-traffic-access-token': closed.trafficAccessToken as string })).toBe(200)
  })

  test('do not open with what belongs to another sandbox', async ({ e2b, made: { open, closed } }) => {
    const foreign = { 'e2b-traffic-access-token': open.trafficAccessToken as string }
    expect((await ask(e2b, closed.getHost(PORT), foreign)).status).toBe(403)
    const { envdAccessToken } = open as unknown as { envdAccessToken: string }
    expect((await ask(e2b, closed.getHost(PORT), { 'x-access-token': envdAccessToken })).status).toBe(403)
    expect((await ask(e2b, closed.getHost(PORT), { 'x-api-key': e2b.apiKey })).status).toBe(403)
    const lie = { 'e2b-sandbox-id': open.sandboxId, 'e2b-sandbox-port': `${PORT}` }
    expect((await ask(e2b, closed.getHost(PORT), lie)).status).toBe(403)
  })

  test('are not left by headers that name the daemon', async ({ e2b, made: { open, closed } }) => {
    const { envdAccessToken } = closed as unknown as { envdAccessToken: string }
    const lie = {
      'e2b-sandbox-id': closed.sandboxId,
      'e2b-sandbox-port': '49983',
      'x-access-token': envdAccessToken,
    }
    const { status, json } = await ask(e2b, open.getHost(PORT), lie, '/envs')
    expect([status, json.path, json.headers['x-access-token']]).toEqual([200, '/envs', undefined])
  })

  test('have no access token of any sandbox told to their programs', async ({ e2b, made }) => {
    for (const owner of [made.open, made.closed]) {
      const { envdAccessToken: token } = owner as unknown as { envdAccessToken: string }
      const { status, json } = await ask(e2b, made.open.getHost(PORT), { 'x-access-token': token })
      expect([status, JSON.stringify(json).includes(token)]).toEqual([200, false])
    }
    const { json } = await ask(e2b, made.open.getHost(PORT), { 'x-access-token': 'its own' })
    expect(json.headers['x-access-token']).toBe('its own')
  })
})

describe.skipIf(cannotNetwork).each(Object.entries(CLIENTS))('the daemon’s port, by %s', (_, Client) => {
  test('is no port of a program', async ({ e2b, made: { open } }) => {
    const client = await Client.connect(open.sandboxId, e2b.options)
    const host = client.getHost(49983)
    expect((await ask(e2b, host, {}, '/no-such')).json.path).toBeUndefined()
    const { stdout } = await client.commands.run('echo reached')
    expect(stdout).toBe('reached\n')
  })
})

describe.skipIf(cannotNetwork)('a sandbox that goes', () => {
  test('takes its requests with it, answered or not', async ({ e2b }) => {
    const { 'e2b 2.51': Client } = CLIENTS
    const sandbox = await Client.create(e2b.options)
    await serve(sandbox)
    const host = sandbox.getHost(PORT)
    const hanging = ask(e2b, host, {}, '/hang').then(
      ({ status }) => status,
      () => 'broken',
    )
    const { promise: head, resolve: begun } = Promise.withResolvers<void>()
    const half = ask(e2b, host, {}, '/begin', begun).then(
      () => 'whole',
      () => 'broken',
    )
    await head
    expect(await sandbox.kill()).toBe(true)
    expect([await hanging, await half]).toEqual([502, 'broken'])
    const { status, json } = await ask(e2b, host)
    expect([status, json]).toEqual([
      502,
      { sandboxId: sandbox.sandboxId, message: 'The sandbox was not found', code: 502 },
    ])
  })

  test('is not resumed by a request unless it was made so', async ({ e2b }) => {
    const { 'e2b 2.51': Client } = CLIENTS
    const lifecycle = (autoResume: boolean) => ({ onTimeout: 'pause' as const, autoResume })
    const [asleep, light] = await Promise.all([
      Client.create({ ...e2b.options, lifecycle: lifecycle(false) }),
      Client.create({ ...e2b.options, lifecycle: lifecycle(true) }),
    ])
    await Promise.all([serve(asleep), serve(light)])
    await Promise.all([asleep.pause(), light.pause()])
    const refused = await ask(e2b, asleep.getHost(PORT))
    expect([refused.status, refused.json.message]).toEqual([502, 'The sandbox was not found'])
    expect((await ask(e2b, light.getHost(PORT))).status).toBe(200)
    expect((await asleep.getInfo()).state).toBe('paused')
    await Promise.all([asleep.kill(), light.kill()])
  })
})
