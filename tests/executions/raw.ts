import { once } from 'node:events'
import { get } from 'node:http'
import type { Execution } from '@caisson/protocol/resources'
import { StreamKind, WEBSOCKET_PROTOCOL } from '@caisson/protocol/stream'
import { WebSocket } from 'ws'
import type { TestServer } from '../test-server.ts'

/** A GET without the SDK: these tests look at what is on the wire. */
export async function textOf(server: TestServer, path: string): Promise<{ status: number; text: string }> {
  const response = get({ socketPath: server.socketPath, path, agent: false })
  const [message] = await once(response, 'response')
  const pieces: Buffer[] = []
  for await (const piece of message) pieces.push(piece)
  return { status: message.statusCode, text: Buffer.concat(pieces).toString() }
}

/** Waits until `condition` holds; fails after half a minute. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (
    const end = Date.now() + 30_000;
    !(await condition());
    await new Promise((wake) => setTimeout(wake, 20))
  )
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`)
}

/** One who watches an execution over a WebSocket. */
export class Viewer implements Disposable {
  /** As the execution was when it was connected. */
  readonly execution: Execution
  readonly offset: number
  readonly #socket: WebSocket
  #bytes: Buffer[] = []

  private constructor(socket: WebSocket, first: Buffer, later: Buffer[]) {
    const started = JSON.parse(first.subarray(1).toString())
    this.execution = started.execution
    this.offset = started.offset
    this.#socket = socket
    const take = (message: Buffer) => {
      if (message[0] === StreamKind.STDOUT) this.#bytes.push(message.subarray(1))
    }
    for (const message of later) take(message)
    socket.on('message', take)
  }

  static async connect(server: TestServer, execution: string, query = ''): Promise<Viewer> {
    const url = `ws+unix://${server.socketPath}:/v1/executions/${execution}/connect${query}`
    const socket = new WebSocket(url, WEBSOCKET_PROTOCOL)
    const early: Buffer[] = []
    const collect = (message: Buffer) => void early.push(message)
    socket.on('message', collect)
    await once(socket, 'message')
    socket.off('message', collect)
    return new Viewer(socket, early[0]!, early.slice(1))
  }

  /** All that was shown so far. */
  get bytes(): Buffer {
    this.#bytes = [Buffer.concat(this.#bytes)]
    return this.#bytes[0]!
  }

  get text(): string {
    return this.bytes.toString()
  }

  type(text: string): void {
    this.#send(StreamKind.STDIN, text)
  }

  resize(cols: number, rows: number): void {
    this.#send(StreamKind.RESIZE, JSON.stringify({ cols, rows }))
  }

  async sees(text: string): Promise<void> {
    await until(`a viewer sees ${JSON.stringify(text)}`, () => this.text.includes(text))
  }

  [Symbol.dispose](): void {
    this.#socket.terminate()
  }

  #send(kind: number, payload: string): void {
    this.#socket.send(Buffer.concat([Buffer.of(kind), Buffer.from(payload)]))
  }
}
