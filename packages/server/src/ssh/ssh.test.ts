import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { pino } from 'pino'
import ssh2, { type Client, type ClientChannel } from 'ssh2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fingerprintOf } from '../sandboxes/ssh-keys.ts'
import type { OutputChunk, UseCases } from '../sandboxes/use-cases.ts'
import { describeHostKey, makeHostKey } from './host-key.ts'
import { SshServer } from './index.ts'

const KEY = makeHostKey()
const PUBLIC = ssh2.utils.parseKey(KEY) as ssh2.ParsedKey
const MIB = 1024 * 1024

/** Use cases that know one key, and whose commands do what the test says. */
class FakeUseCases {
  started: unknown[] = []
  killed: string[] = []
  sizes: string[] = []
  input = 0
  /** How much output was asked for so far. */
  produced = 0
  output: (signal: AbortSignal) => AsyncIterable<OutputChunk> = async function* () {}
  exitCode = 0
  holdInput = Promise.resolve()

  async authenticateSsh(fingerprint: string): Promise<boolean> {
    return fingerprint === fingerprintOf(PUBLIC.getPublicSSH())
  }
  async startExecution(_: string, input: unknown) {
    this.started.push(input)
    return { id: 'exe_1' }
  }
  async writeStdin(_: string, data: AsyncIterable<Uint8Array>): Promise<void> {
    await this.holdInput
    for await (const bytes of data) this.input += bytes.length
  }
  async readOutput(_: string, __: unknown, ___: boolean, signal: AbortSignal) {
    const { exitCode } = this
    const result = async () => ({
      ending: 'exited',
      exitCode,
      signal: null,
      message: null,
      outputBytes: this.produced,
    })
    return { chunks: this.output(signal), result }
  }
  async killExecution(_: string, { signal }: { signal: string }) {
    this.killed.push(signal)
  }
  async resizeTerminal(_: string, cols: number, rows: number) {
    this.sizes.push(`${cols}x${rows}`)
  }
  async dial(): Promise<never> {
    throw new Error('no')
  }
  /** Output as fast as it is taken, for ever. */
  flood(): AsyncIterable<OutputChunk> {
    const that = this
    return (async function* () {
      const data = Buffer.alloc(256 * 1024)
      for (;;) {
        yield { offset: that.produced, time: 0, stream: 'stdout', data }
        that.produced += data.length
      }
    })()
  }
}

describe('the SSH server', () => {
  let useCases: FakeUseCases
  let server: SshServer
  let port: number
  const clients: Client[] = []
  const sockets: Socket[] = []

  beforeEach(async () => {
    useCases = new FakeUseCases()
    server = new SshServer({
      useCases: useCases as unknown as UseCases,
      log: pino({ level: 'silent' }),
      hostKey: makeHostKey(),
      stopping: () => false,
    })
    ;({ port } = await server.listen('127.0.0.1:0'))
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    for (const socket of sockets.splice(0)) socket.destroy()
    await server.close()
  })

  async function connect(key: Buffer = KEY): Promise<Client> {
    const client = new ssh2.Client()
    clients.push(client)
    client.on('error', () => {})
    const ready = once(client, 'ready')
    const closed = once(client, 'close').then(() => Promise.reject(new Error('closed')))
    closed.catch(() => {})
    client.connect({ host: '127.0.0.1', port, username: 'work', privateKey: key })
    await Promise.race([ready, closed])
    return client
  }

  function exec(client: Client, line = 'x'): Promise<ClientChannel> {
    return new Promise((resolve, reject) =>
      client.exec(line, (error, channel) => (error ? reject(error) : resolve(channel))),
    )
  }

  /** How a program ended, and what it said on stderr. */
  function ended(client: Client): Promise<{ code: number; said: string }> {
    return new Promise((resolve, reject) =>
      client.exec('x', (error, channel) => {
        if (error) return reject(error)
        let said = ''
        let code = -1
        channel.resume()
        channel.stderr.on('data', (data) => {
          said += data
        })
        channel.on('exit', (status) => {
          code = status
        })
        channel.on('close', () => resolve({ code, said }))
      }),
    )
  }

  async function raw(): Promise<Socket> {
    const socket = createConnection({ host: '127.0.0.1', port })
    sockets.push(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  test('its host keys are whole', () => {
    for (let i = 0; i < 50; i++) {
      const made = makeHostKey()
      const key = ssh2.utils.parseKey(made) as ssh2.ParsedKey
      const blob = key.getPublicSSH()
      expect(describeHostKey(made).hostKey).toBe(`ssh-ed25519 ${blob.toString('base64')}`)
      expect(key.verify('x', key.sign('x'))).toBe(true)
    }
  })

  test('an unknown key is refused', async () => {
    await expect(connect(makeHostKey())).rejects.toThrow('All configured authentication methods failed')
  })

  test.for([['password'], ['keyboard-interactive'], ['none']] as const)(
    '%s lets nobody in',
    async ([method]) => {
      const client = new ssh2.Client()
      clients.push(client)
      const failed = once(client, 'error')
      client.connect({
        host: '127.0.0.1',
        port,
        username: 'work',
        password: 'x',
        tryKeyboard: true,
        authHandler: [method] as never,
      })
      expect(String((await failed)[0])).toContain('All configured authentication methods failed')
    },
  )

  test('output is produced as fast as it is taken', async () => {
    useCases.output = () => useCases.flood()
    const channel = await exec(await connect())
    await settled(() => useCases.produced)
    // The client's window, and what waits in sockets.
    expect(useCases.produced).toBeLessThan(16 * MIB)
    channel.resume()
    const before = useCases.produced
    await until(() => useCases.produced > before + 16 * MIB)
  })

  test('a client that claims an endless window and reads nothing costs bounded memory', async () => {
    useCases.output = () => useCases.flood()
    const client = await connect()
    const channel = await exec(client)
    ;(client as unknown as { _sock: Socket })._sock.pause()
    // As if gigabytes could be taken.
    const inside = client as unknown as { _protocol: { channelWindowAdjust(id: number, n: number): void } }
    inside._protocol.channelWindowAdjust(
      (channel as unknown as { outgoing: { id: number } }).outgoing.id,
      2 ** 32 - 1,
    )
    await settled(() => useCases.produced)
    expect(useCases.produced).toBeLessThan(64 * MIB)
  })

  test('input is taken as fast as the program takes it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    useCases.holdInput = promise
    useCases.output = quiet
    const channel = await exec(await connect())
    let sent = 0
    const send = () => {
      while (sent < 64 * MIB && channel.write(Buffer.alloc(64 * 1024))) sent += 64 * 1024
    }
    channel.on('drain', send)
    send()
    await settled(() => sent)
    expect(sent).toBeLessThan(32 * MIB)
    resolve()
    await until(() => useCases.input > 32 * MIB)
  })

  test('there are at most 64 channels to a connection, and a closed one makes room', async () => {
    useCases.output = quiet
    const client = await connect()
    const open = await Promise.allSettled(Array.from({ length: 100 }, () => exec(client)))
    const channels = open.filter((one) => one.status === 'fulfilled').map(({ value }) => value)
    expect(channels.length).toBe(64)
    channels[0]!.close()
    await until(async () =>
      exec(client).then(
        () => true,
        () => false,
      ),
    )
  })

  test('signals and sizes are passed on, and what is neither is not', async () => {
    useCases.output = quiet
    const client = await connect()
    const channel = await new Promise<ClientChannel>((resolve, reject) =>
      client.shell(
        { cols: 90, rows: 30, term: 'xterm' },
        { env: { A: 'b', CAISSON_X: 'y', 'not a name': 'z' } },
        (error, opened) => (error ? reject(error) : resolve(opened)),
      ),
    )
    await until(() => useCases.sizes.length > 0)
    channel.signal('USR1')
    channel.signal('SEGV')
    channel.setWindow(40, 100, 0, 0)
    channel.setWindow(0, 70_000, 0, 0)
    await until(() => useCases.sizes.length > 2)
    expect(useCases.killed).toEqual(['SIGUSR1'])
    expect(useCases.sizes).toEqual(['90x30', '100x40', '80x24'])
    expect(useCases.started).toMatchObject([
      { env: { A: 'b', TERM: 'xterm' }, tty: { cols: 90, rows: 30 }, tag: 'ssh' },
    ])
  })

  test('only sftp is a subsystem, and no command holds NUL', async () => {
    const client = await connect()
    const subsystem = new Promise((resolve) => client.subsys('netconf', (error) => resolve(error)))
    expect(String(await subsystem)).toContain('Unable to start subsystem')
    await expect(exec(client, 'echo\0x')).rejects.toThrow('Unable to exec')
    expect(useCases.started).toEqual([])
  })

  test('output that was lost is no success', async () => {
    useCases.output = async function* () {
      yield { offset: 100, time: 0, stream: 'stdout', data: Buffer.from('rest') }
    }
    const { code, said } = await ended(await connect())
    expect(code).toBe(255)
    expect(said).toContain('100 bytes of output')
  })

  test('a client that leaves hangs up on its program', async () => {
    useCases.output = quiet
    const client = await connect()
    await exec(client)
    await until(() => useCases.started.length === 1)
    client.end()
    await until(() => useCases.killed.length > 0)
    expect(useCases.killed[0]).toBe('SIGHUP')
  })

  test('clients that are cut off at any moment do no harm', async () => {
    useCases.output = () => useCases.flood()
    for (let i = 0; i < 40; i++) {
      const client = await connect()
      const opened = Array.from({ length: 4 }, () => exec(client).then((channel) => channel.resume()))
      await new Promise((resolve) => setTimeout(resolve, i % 8))
      client.destroy()
      await Promise.allSettled(opened)
    }
    useCases.output = async function* () {}
    useCases.produced = 0
    expect((await ended(await connect())).code).toBe(0)
  })

  test('garbage ends its connection and nothing else', async () => {
    const client = await connect()
    const garbage = [
      Buffer.alloc(100_000, 'a'),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(70_000, 0xff)]),
      Buffer.concat([
        Buffer.from('SSH-2.0-x\r\n'),
        Buffer.from([0x7f, 0xff, 0xff, 0xff]),
        Buffer.alloc(4096),
      ]),
      Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(64)]),
    ]
    for (const bytes of garbage) {
      const socket = await raw()
      socket.resume()
      socket.write(bytes)
      socket.end()
      await once(socket, 'close')
    }
    useCases.exitCode = 7
    expect((await ended(client)).code).toBe(7)
  })

  test('strangers are bounded', async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => raw()))
    for (const socket of all) socket.resume()
    await until(() => all.filter((socket) => socket.destroyed || socket.readableEnded).length === 36)
  })

  test('a channel that takes packets of no bytes is closed, and the server goes on', async () => {
    useCases.output = () => useCases.flood()
    const client = await connect()
    const inside = client as unknown as { _protocol: Record<string, (...numbers: number[]) => void> }
    const { session } = inside._protocol
    // The third number is the most that one packet may hold.
    inside._protocol.session = (id, window) => session!.call(inside._protocol, id!, window!, 0)
    const channel = await exec(client)
    channel.resume()
    await once(channel, 'close')
    expect(useCases.started).toEqual([])
  })
})

/** Output of a program that says nothing and does not end. */
async function* quiet(signal: AbortSignal): AsyncGenerator<OutputChunk> {
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await condition()); ) {
    if (Date.now() > end) throw new Error(`waited in vain for: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Waits until a number does not change any more. */
async function settled(value: () => number): Promise<void> {
  for (let seen = -1, since = Date.now(); Date.now() - since < 300; ) {
    if (value() !== seen) {
      seen = value()
      since = Date.now()
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
