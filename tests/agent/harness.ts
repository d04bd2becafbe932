/** Starts real agents without a sandbox around them, and speaks raw frames to them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  encodeAck,
  encodeBulkHead,
  encodeFrame,
  type Fields,
  FrameParser,
  fields,
  parseBulk,
  parseFields,
} from '../../packages/protocol/src/frame-codec.ts'
import { Field, Flag, type Frame, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'

const native = resolve(import.meta.dirname, '../../native/build')
/** The builds that are there: the shipped one, and the one with sanitizers after `make -C native asan`. */
export const BUILDS = [
  { name: 'static', binary: join(native, 'agent') },
  { name: 'sanitized', binary: join(native, 'asan/agent') },
].filter((build) => existsSync(build.binary))

export const isRoot = process.getuid?.() === 0

/** A running agent in a directory of its own; disposing ends it and everything it started. */
export class Agent implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'caisson-agent-'))
  readonly socket = join(this.directory, 'agent.sock')
  stderr = ''
  #process!: ChildProcess
  #clients: Client[] = []

  #wrapped = false

  /** With `wrapped`, the agent is the child of the program that is started, and SIGKILL ends it. */
  static async start(
    binary: string,
    args = ['--listen-fd', '3', '--subreaper'],
    wrapped = false,
  ): Promise<Agent> {
    const agent = new Agent()
    agent.#wrapped = wrapped
    const server = createServer().listen(`${agent.socket}.first`)
    await once(server, 'listening')
    // Node removes the path it has bound when it closes; the agent's listener lives on under the other name.
    linkSync(`${agent.socket}.first`, agent.socket)
    const fd = (server as unknown as { _handle: { fd: number } })._handle.fd
    agent.#process = spawn(binary, args, {
      stdio: ['ignore', 'ignore', 'pipe', fd],
      env: { PATH: process.env.PATH!, ASAN_OPTIONS: 'detect_leaks=0' },
    })
    agent.#process.stderr!.on('data', (text) => {
      agent.stderr += text
    })
    server.close()
    return agent
  }

  get pid(): number {
    return this.#process.pid!
  }

  async connect(): Promise<Client> {
    const client = await Client.connect(this.socket)
    this.#clients.push(client)
    return client
  }

  /** Resident memory in KiB. */
  rss(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))![1])
  }

  children(): number[] {
    const list = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8')
    return list.split(' ').filter(Boolean).map(Number)
  }

  /** Ends the agent; its exit status. */
  async stop(): Promise<number | null> {
    if (this.#process.exitCode !== null) return this.#process.exitCode
    const exit = once(this.#process, 'exit')
    if (!this.#wrapped) this.#process.kill('SIGTERM')
    // A parent's death is not enough: the kernel forgets who asked for that signal once an agent has changed users.
    else for (const child of this.children()) process.kill(child, 'SIGKILL')
    return (await exit)[0]
  }

  async [Symbol.asyncDispose]() {
    for (const client of this.#clients) client.close()
    const status = await this.stop()
    rmSync(this.directory, { recursive: true, force: true })
    if (status !== 0 && !this.#wrapped) throw new Error(`The agent ended with ${status}: ${this.stderr}`)
  }
}

export interface Start {
  argv: string[]
  id?: string
  env?: Record<string, string>
  cwd?: string
  user?: string
  stdin?: boolean
  tty?: { cols: number; rows: number }
}

let lastId = 0

/** One connection. Frames wait per stream until they are asked for. */
export class Client {
  #socket: Socket
  #parser = new FrameParser()
  #queues = new Map<number, Frame[]>()
  #wake = new Set<() => void>()
  #nextStream = 1
  closed = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.#notify()
    })
  }

  static async connect(path: string): Promise<Client> {
    const socket = connectSocket(path)
    await once(socket, 'connect')
    return new Client(socket)
  }

  #receive(chunk: Uint8Array) {
    for (const frame of this.#parser.push(chunk)) {
      const queue = this.#queues.get(frame.stream)
      if (queue) queue.push(frame)
      else this.#queues.set(frame.stream, [frame])
    }
    this.#notify()
  }

  #notify() {
    for (const wake of this.#wake) wake()
    this.#wake.clear()
  }

  newStream(): number {
    return this.#nextStream++
  }

  /** Frames of the stream that have come and were not taken. */
  waiting(stream: number): Frame[] {
    return this.#queues.get(stream) ?? []
  }

  async next(stream: number): Promise<Frame> {
    for (;;) {
      const frame = this.#queues.get(stream)?.shift()
      if (frame) return frame
      if (this.closed) throw new Error('The agent closed the connection')
      await new Promise<void>((wake) => this.#wake.add(wake))
    }
  }

  /** The next frame of the stream, which must be of this type. */
  async expect(stream: number, type: FrameType): Promise<Fields> {
    const frame = await this.next(stream)
    if (frame.type === FrameType.ERROR && type !== FrameType.ERROR) throw agentError(frame)
    if (frame.type !== type) throw new Error(`Expected frame type ${type}, got ${frame.type}`)
    return parseFields(frame.payload)
  }

  raw(bytes: Uint8Array) {
    this.#socket.write(bytes)
  }

  send(type: FrameType, stream: number, payload?: Uint8Array) {
    this.raw(encodeFrame(type, stream, payload))
  }

  bulk(type: FrameType, stream: number, offset: number, bytes: Uint8Array) {
    this.raw(encodeBulkHead(type, stream, offset, bytes.length))
    this.raw(bytes)
  }

  ack(stream: number, offset: number) {
    this.raw(encodeAck(stream, offset))
  }

  /** Sends a request on a new stream. */
  request(type: FrameType, payload: Uint8Array): number {
    const stream = this.newStream()
    this.send(type, stream, payload)
    return stream
  }

  start(options: Start): { stream: number; id: string } {
    const id = options.id ?? `e${++lastId}`
    const builder = fields()
      .string(Field.ID, id)
      .strings(Field.ARG, options.argv)
      .strings(
        Field.ENV,
        Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`),
      )
    if (options.cwd !== undefined) builder.string(Field.CWD, options.cwd)
    if (options.user !== undefined) builder.string(Field.USER, options.user)
    if (options.stdin) builder.u64(Field.STDIN, 1)
    if (options.tty) builder.u64(Field.TTY_COLS, options.tty.cols).u64(Field.TTY_ROWS, options.tty.rows)
    return { stream: this.request(FrameType.START, builder.encode()), id }
  }

  attach(id: string, offset: number): number {
    return this.request(FrameType.ATTACH, fields().string(Field.ID, id).u64(Field.OFFSET, offset).encode())
  }

  signal(stream: number, signal: number, scope: 0 | 1 | 2) {
    this.send(FrameType.SIGNAL, stream, fields().u64(Field.SIGNAL, signal).u64(Field.SCOPE, scope).encode())
  }

  forget(stream: number) {
    this.send(FrameType.FORGET, stream)
  }

  pause() {
    this.#socket.pause()
  }

  resume() {
    this.#socket.resume()
  }

  close() {
    this.#socket.destroy()
  }
}

export class AgentError extends Error {
  errno: number
  constructor(errno: number, message: string) {
    super(message)
    this.errno = errno
  }
}

export function agentError(frame: Frame): AgentError {
  const got = parseFields(frame.payload)
  return new AgentError(got.u64(Field.ERRNO)!, got.string(Field.MESSAGE)!)
}

export interface Result {
  stdout: Buffer
  stderr: Buffer
  output: Buffer
  exitCode: number | undefined
  signal: number | undefined
}

/** Follows an execution until it has ended and its output is closed, acknowledging everything. */
export async function collect(client: Client, stream: number, from = 0): Promise<Result> {
  const parts: { bytes: Uint8Array; stderr: boolean }[] = []
  let offset = from
  let exit: Fields | undefined
  let total: number | undefined
  while (!exit || total === undefined) {
    const frame = await client.next(stream)
    if (frame.type === FrameType.OUTPUT) {
      const bulk = parseBulk(frame.payload)
      if (bulk.offset !== offset) throw new Error(`Output at ${bulk.offset}, expected ${offset}`)
      offset += bulk.bytes.length
      parts.push({ bytes: bulk.bytes, stderr: (frame.flags & Flag.STDERR) !== 0 })
      client.ack(stream, offset)
    } else if (frame.type === FrameType.EXIT) exit = parseFields(frame.payload)
    else if (frame.type === FrameType.OUTPUT_CLOSED) total = parseFields(frame.payload).u64(Field.OFFSET)
    else if (frame.type === FrameType.ERROR) throw agentError(frame)
  }
  if (total !== offset) throw new Error(`The output closed at ${total}, but ${offset} bytes came`)
  const joined = (stderr?: boolean) =>
    Buffer.concat(parts.filter((p) => stderr === undefined || p.stderr === stderr).map((p) => p.bytes))
  return {
    stdout: joined(false),
    stderr: joined(true),
    output: joined(),
    exitCode: exit.u64(Field.EXIT_CODE),
    signal: exit.u64(Field.SIGNAL),
  }
}

/** Starts, feeds, follows and forgets. */
export async function run(client: Client, start: Start, stdin?: Uint8Array): Promise<Result> {
  const { stream } = client.start({ ...start, stdin: stdin !== undefined })
  const started = await client.next(stream)
  if (started.type === FrameType.ERROR) throw agentError(started)
  if (stdin) feed(client, stream, stdin)
  const result = await collect(client, stream)
  client.forget(stream)
  return result
}

/** Sends what fits the window at once; longer input needs `Feeder`. */
export function feed(client: Client, stream: number, bytes: Uint8Array) {
  if (bytes.length > LIMITS.WINDOW) throw new Error('More than a window')
  for (let at = 0; at < bytes.length; at += LIMITS.MAX_CHUNK)
    client.bulk(FrameType.STDIN, stream, at, bytes.subarray(at, at + LIMITS.MAX_CHUNK))
  client.send(FrameType.STDIN_CLOSE, stream)
}

/** Waits for something that the system does on its own, a look at a time. */
export async function until<T>(look: () => T | undefined | false): Promise<T> {
  for (;;) {
    const seen = look()
    if (seen !== undefined && seen !== false) return seen
    await new Promise((wake) => setTimeout(wake, 5))
  }
}

/** Pids of the living processes whose command line contains the text. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text)
      } catch {
        return false
      }
    })
}

/** An agent that has greeted, and a directory that every user may write. */
export async function openWithFiles(binary: string) {
  const agent = await Agent.start(binary)
  const client = await agent.connect()
  await client.expect(0, FrameType.HELLO)
  const root = join(agent.directory, 'files')
  mkdirSync(root)
  chmodSync(agent.directory, 0o755)
  chmodSync(root, 0o777)
  return { agent, client, root, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() }
}
