import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Payload } from './payload.ts'

const PROGRAM = join(import.meta.dirname, 'relay-process.ts')

/** Starts one of the peers of relay-process.ts. @returns its process, and what it says when it is ready */
export function startPeer(args: readonly string[]): Promise<{ child: ChildProcess; said: string }> {
  return startProgram(process.execPath, [PROGRAM, ...args])
}

/** The same for any program that says a line when it is ready. */
export async function startProgram(
  program: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [data] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, said: data.toString().trim() }
}

/** A bare relay from a unix socket to HTTP, and the process behind it. */
export class Relay implements AsyncDisposable {
  readonly #socket: string
  readonly #children: ChildProcess[]

  private constructor(socket: string, children: ChildProcess[]) {
    this.#socket = socket
    this.#children = children
  }

  static async start(workDir: string, payload: Payload): Promise<Relay> {
    const dir = mkdtempSync(join(workDir, 'r-'))
    const block = join(dir, 'block')
    writeFileSync(block, payload.block)
    const back = await startPeer(['back', join(dir, 'back'), block, `${payload.times}`])
    const relay = await startPeer(['relay', join(dir, 'http'), join(dir, 'back')])
    return new Relay(join(dir, 'http'), [back.child, relay.child])
  }

  /** Reads all of it. @returns the number of bytes */
  async read(): Promise<number> {
    const response = await this.#ask('GET')
    let bytes = 0
    for await (const data of response) bytes += data.length
    return bytes
  }

  /** Sends all of it; with `keep`, into a file. @returns the number of bytes that arrived */
  async write(source: AsyncIterable<Uint8Array>, keep = false): Promise<number> {
    const response = await this.#ask('PUT', source, keep ? '/keep' : '/')
    let text = ''
    for await (const data of response) text += data
    return Number(text)
  }

  async #ask(method: string, body?: AsyncIterable<Uint8Array>, path = '/') {
    const outgoing = request({ socketPath: this.#socket, method, path })
    const answer = once(outgoing, 'response')
    if (body) await pipeline(body, outgoing)
    else outgoing.end()
    const [response] = (await answer) as [import('node:http').IncomingMessage]
    return response
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill()
  }
}
