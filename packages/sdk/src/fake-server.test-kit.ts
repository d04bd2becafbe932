import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { Client } from './client.ts'

/** A request as it came. */
export interface Asked {
  /** Method and target. */
  request: string
  /** JSON parsed, all else as text. */
  body: unknown
  key: string | undefined
}

/** By method and path. */
export type Answers = Record<string, unknown | ((asked: Asked) => unknown)>

/** A server that answers by method and path until the test ends: text as it is, an `Error` as a failure, all else as JSON. */
export async function serverOf(answers: Answers) {
  const asked: Asked[] = []
  const server = createServer(async (incoming, outgoing) => {
    const one = await read(incoming).catch(() => undefined)
    // The client has gone.
    if (!one) return
    asked.push(one)
    const row = answers[one.request.split('?')[0]!]
    const answer = typeof row === 'function' ? row(one) : row
    if (answer instanceof Error) {
      const error = { code: answer.message, message: 'No.', retry: false, details: {} }
      outgoing.writeHead(404).end(JSON.stringify({ error }))
    } else if (answer === undefined) outgoing.writeHead(204).end()
    else outgoing.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new Client({ url })
  onTestFinished(() => {
    void client.close()
    server.closeAllConnections()
    server.close()
  })
  return { url, client, asked, requests: () => asked.map(({ request }) => request) }
}

async function read(incoming: IncomingMessage): Promise<Asked> {
  const parts: Buffer[] = []
  for await (const part of incoming) parts.push(part)
  const text = Buffer.concat(parts).toString()
  const json = incoming.headers['content-type'] === 'application/json'
  return {
    request: `${incoming.method} ${incoming.url}`,
    body: json ? JSON.parse(text) : text,
    key: incoming.headers['idempotency-key'] as string | undefined,
  }
}
