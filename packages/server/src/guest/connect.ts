import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { encodeFrame, type Fields, FrameError, fields, parseFields } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS, PROTOCOL_GENERATION } from '@caisson/protocol/frames'
import { abortable, aborted } from './abort.ts'
import { Connection, type StreamHandler } from './connection.ts'
import { dial } from './dial.ts'
import { attachError, type Failure, startError } from './errors.ts'
import { Execution } from './execution.ts'
import { Files } from './files.ts'
import type { Guest, GuestExecution, OutputSink, StartRequest } from './guest.ts'
import type { Slots } from './request.ts'

/** An agent says hello as soon as it is connected to; one that has not after so long does not work. */
const HELLO_MS = 10_000
const NONCE_BYTES = 16

export interface ConnectOptions {
  /** The sandbox's id, for errors. */
  sandbox: string
  signal?: AbortSignal
  /** Milliseconds to wait for the greeting. */
  helloMs?: number
}

/** Greets the agent on a new channel, which from then on belongs to the guest. @throws SandboxError `agent_lost`, `aborted` */
export async function connectGuest(channel: Duplex, options: ConnectOptions): Promise<Guest> {
  const greeting = new Greeting()
  const connection = new Connection(channel, options.sandbox, greeting)
  const milliseconds = options.helloMs ?? HELLO_MS
  const timer = setTimeout(
    () => connection.fail(`it sent no greeting within ${milliseconds} ms`),
    milliseconds,
  )
  try {
    const hello = await abortable(greeting.hello, `connecting to sandbox ${options.sandbox}`, options.signal)
    const answer = fields().u64(Field.GENERATION, PROTOCOL_GENERATION).encode()
    connection.send(encodeFrame(FrameType.HELLO, 0, answer))
    return new AgentGuest(connection, hello)
  } catch (error) {
    connection.fail('the greeting failed', error)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

interface Hello {
  nonce: string
  held: string[]
}

/** Stream 0: one HELLO and nothing else. */
class Greeting implements StreamHandler {
  readonly #hello = Promise.withResolvers<Hello>()
  readonly hello = this.#hello.promise
  #done = false

  constructor() {
    this.hello.catch(() => {})
  }

  receive(frame: Frame): void {
    if (frame.type !== FrameType.HELLO || this.#done)
      throw new FrameError(`A frame of type ${frame.type} came instead of a greeting`)
    this.#hello.resolve(readHello(parseFields(frame.payload)))
    this.#done = true
  }

  lost(error: SandboxError<'agent_lost'>): void {
    this.#hello.reject(error)
  }
}

function readHello(message: Fields): Hello {
  const generation = message.u64(Field.GENERATION)
  if (generation !== PROTOCOL_GENERATION)
    throw new FrameError(`It speaks generation ${generation} of the protocol, not ${PROTOCOL_GENERATION}`)
  const nonce = message.bytes(Field.NONCE)
  if (nonce?.length !== NONCE_BYTES) throw new FrameError('Its greeting has no nonce')
  return { nonce: Buffer.from(nonce).toString('hex'), held: message.strings(Field.EXECUTION) }
}

class AgentGuest implements Guest {
  readonly nonce: string
  readonly held: readonly string[]
  readonly files: Files
  readonly closed: Promise<void>
  readonly #connection: Connection
  readonly #slots: Slots = { used: 0 }

  constructor(connection: Connection, hello: Hello) {
    this.nonce = hello.nonce
    this.held = hello.held
    this.closed = connection.closed
    this.files = new Files(connection, this.#slots)
    this.#connection = connection
  }

  async start(request: StartRequest, sink: OutputSink, signal?: AbortSignal): Promise<GuestExecution> {
    if (signal?.aborted) throw aborted(`starting execution ${request.id}`, signal)
    const payload = startPayload(request)
    const execution = new Execution(this.#connection, request.id, 0, sink, (failure) =>
      startError(request.argv, failure),
    )
    return execution.begin(FrameType.START, payload, signal)
  }

  async attach(id: string, offset: number, sink: OutputSink, signal?: AbortSignal): Promise<GuestExecution> {
    if (signal?.aborted) throw aborted(`following execution ${id}`, signal)
    const payload = fields().string(Field.ID, id).u64(Field.OFFSET, offset).encode()
    const refused = (failure: Failure) => attachError(this.#connection.sandbox, id, failure)
    const execution = new Execution(this.#connection, id, offset, sink, refused)
    return execution.begin(FrameType.ATTACH, payload, signal)
  }

  async dial(port: number, signal?: AbortSignal): Promise<Duplex> {
    return dial(this.#connection, this.#slots, port, signal)
  }

  close(reason = 'the server closed the connection'): void {
    this.#connection.finish(reason)
  }
}

/** @throws SandboxError `payload_too_large` when arguments and environment do not fit a frame. */
function startPayload(request: StartRequest): Uint8Array {
  const builder = fields().string(Field.ID, request.id).strings(Field.ARG, request.argv)
  for (const name in request.env) builder.string(Field.ENV, `${name}=${request.env[name]}`)
  if (request.cwd !== undefined) builder.string(Field.CWD, request.cwd)
  if (request.user !== undefined) builder.string(Field.USER, request.user)
  if (request.tty !== undefined)
    builder.u64(Field.TTY_COLS, request.tty.cols).u64(Field.TTY_ROWS, request.tty.rows)
  if (request.stdin) builder.u64(Field.STDIN, 1)
  const payload = builder.encode()
  if (payload.length > LIMITS.MAX_PAYLOAD)
    throw new SandboxError('payload_too_large', {
      what: 'The command with its environment',
      limit: LIMITS.MAX_PAYLOAD,
    })
  return payload
}
