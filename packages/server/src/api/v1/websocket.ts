import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { operations } from '@caisson/protocol/operations'
import { STREAM_MAX_RECORD, StreamKind, WEBSOCKET_PROTOCOL } from '@caisson/protocol/stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Metrics } from '../../metrics.ts'
import type { Output, UseCases } from '../../sandboxes/use-cases.ts'
import type { Access } from '../access.ts'
import { invalid, toSandboxError } from '../errors.ts'
import { parse, parseQuery } from '../input.ts'
import { answerRaw } from '../raw-answer.ts'
import { beginningOf } from './execution-handlers.ts'
import { StdinQueue } from './stdin-queue.ts'

/** Bytes not yet taken by a slow reader before the source has to wait. */
const HIGH = 512 * 1024
/** Milliseconds between pings; a peer that has not answered the last one is gone. */
const PING_EVERY = 30_000
const PATH = new RegExp(
  `^${operations.connectExecution.http.slice(4).replace('{execution}', '([^/?]+)')}(\\?|$)`,
)

const Resize = operations.resizeExecution.body
const Signal = operations.killExecution.body

export interface ConnectOptions {
  useCases: UseCases
  access: Access
  metrics: Metrics
}

/** Answers upgrade requests: a WebSocket to an execution, with the same checks as a request. */
export class ExecutionSockets {
  readonly #options: ConnectOptions
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: STREAM_MAX_RECORD + 1,
    // The subprotocol that carries a key must never be echoed.
    handleProtocols: (offered) => (offered.has(WEBSOCKET_PROTOCOL) ? WEBSOCKET_PROTOCOL : false),
  })

  constructor(options: ConnectOptions) {
    this.#options = options
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy())
    const reading = new AbortController()
    socket.once('close', () => reading.abort())
    try {
      const output = await this.#open(request, reading.signal)
      this.#options.metrics.answered('connectExecution', 101)
      this.#server.handleUpgrade(request, socket, head, (ws) => this.#serve(ws, output, reading.signal))
    } catch (error) {
      const refusal = toSandboxError(error, 'upgrade')
      this.#options.metrics.answered('connectExecution', refusal.status)
      answerRaw(socket, refusal)
    }
  }

  /** Breaks every connection; clients continue from their last offset. */
  close(): void {
    for (const ws of this.#server.clients) ws.terminate()
  }

  async #open(request: IncomingMessage, signal: AbortSignal): Promise<Output> {
    const { access, useCases } = this.#options
    const { http, scope, params, query } = operations.connectExecution
    access.admit(request)
    const target = request.url ?? ''
    const id = PATH.exec(target)?.[1]
    if (id === undefined)
      throw new SandboxError('route_not_found', { route: `a WebSocket other than ${http}` })
    await access.authorise(request, scope)
    const { execution } = parse(params, { execution: id })
    const beginning = beginningOf(parse(query, parseQuery(target)))
    return useCases.readOutput(execution, beginning, true, signal)
  }

  #serve(ws: WebSocket, output: Output, signal: AbortSignal): void {
    const { useCases, metrics } = this.#options
    ws.on('error', () => ws.terminate())
    const stdin = new StdinQueue(useCases, output.execution.id, ws)
    keepAlive(ws)
    ws.on('message', (data: Buffer, binary) => {
      if (binary && data[0] === StreamKind.STDIN) return stdin.push(data.subarray(1))
      void this.#receive(output.execution.id, stdin, data, binary).catch((error) =>
        failUnlessEnded(ws, error),
      )
    })
    stdin.failed.catch((error) => failUnlessEnded(ws, error))
    void sendOutput(ws, output, metrics, signal).catch((error) => fail(ws, error))
  }

  async #receive(execution: string, stdin: StdinQueue, data: Buffer, binary: boolean): Promise<void> {
    const payload = data.subarray(1)
    const kind = binary ? data[0] : undefined
    const { useCases } = this.#options
    if (kind === StreamKind.STDIN_CLOSE) stdin.end()
    else if (kind === StreamKind.RESIZE) {
      const { cols, rows } = parse(Resize, fromJson(payload))
      await useCases.resizeTerminal(execution, cols, rows)
    } else if (kind === StreamKind.SIGNAL) {
      await useCases.killExecution(execution, parse(Signal, fromJson(payload)))
    } else throw invalid('', 'a message is a byte that names its kind, and a payload')
  }
}

async function sendOutput(
  ws: WebSocket,
  output: Output,
  metrics: Metrics,
  signal: AbortSignal,
): Promise<void> {
  sendJson(ws, StreamKind.STARTED, { execution: output.execution, offset: output.offset })
  let expected = output.offset
  for await (const { offset, stream, data } of output.chunks) {
    if (signal.aborted) return
    metrics.sent(data.length)
    if (offset > expected) sendJson(ws, StreamKind.GAP, { offset })
    expected = offset + data.length
    const kind = stream === 'stdout' ? StreamKind.STDOUT : StreamKind.STDERR
    for (let at = 0; at < data.length; at += STREAM_MAX_RECORD) {
      await send(ws, kind, data.subarray(at, at + STREAM_MAX_RECORD))
    }
  }
  sendJson(ws, StreamKind.ENDED, { execution: await output.result() })
  ws.close(1000)
}

/** Resolves at once, or, with much under way, when this message has been taken. */
function send(ws: WebSocket, kind: StreamKind, payload: Uint8Array): Promise<void> | undefined {
  const message = Buffer.allocUnsafe(payload.length + 1)
  message[0] = kind
  message.set(payload, 1)
  if (ws.bufferedAmount <= HIGH) {
    ws.send(message)
    return
  }
  // A socket that breaks meanwhile aborts the reading; its error says no more than that.
  return new Promise((resolve) => ws.send(message, () => resolve()))
}

function sendJson(ws: WebSocket, kind: StreamKind, value: unknown): void {
  void send(ws, kind, Buffer.from(JSON.stringify(value)))
}

function fail(ws: WebSocket, error: unknown): void {
  if (ws.readyState !== ws.OPEN) return
  const refusal = toSandboxError(error, 'websocket')
  sendJson(ws, StreamKind.ERROR, refusal.toJSON())
  ws.close(refusal.status < 500 ? 1008 : 1011)
}

/** What is sent to a program that has just ended comes too late and is no failure: its ending is on the way. */
function failUnlessEnded(ws: WebSocket, error: unknown): void {
  if (!SandboxError.is(error, 'execution_ended')) fail(ws, error)
}

/** A paused socket can not hear the answer to a ping, so it is not held against it. */
function keepAlive(ws: WebSocket): void {
  let answered = true
  ws.on('pong', () => {
    answered = true
  })
  const timer = setInterval(() => {
    if (!answered && !ws.isPaused) return ws.terminate()
    answered = ws.isPaused
    ws.ping()
  }, PING_EVERY).unref()
  ws.once('close', () => clearInterval(timer))
}

function fromJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw invalid('', 'the payload is not valid JSON', cause)
  }
}
