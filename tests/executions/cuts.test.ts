import { createHash, randomInt } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { connect, createServer } from 'node:net'
import { STREAM_HEADER, STREAM_TYPE, StreamKind } from '@caisson/protocol/stream'
import { Sandbox } from 'caisson'
import { expect } from 'vitest'
import { temporaryDirectory, test } from '../fixture.ts'

const LINES = 40_000
/** Bytes, in both directions, after which a connection is cut at the latest. */
const MOST = 4000
/** The server dies after so many cuts. */
const DEATH = 300

const PROGRAM = `
import hashlib, sys
out = [sys.stdout.buffer, sys.stderr.buffer]
for i in range(${LINES}):
    out[i % 7 == 0].write(hashlib.sha256(str(i).encode()).digest() * (i % 5))
    if i % 100 == 0: out[0].flush(); out[1].flush()
`

function expected(stderr: boolean): Buffer {
  const pieces = Array.from({ length: LINES }, (_, i) => {
    const digest = createHash('sha256').update(`${i}`).digest()
    return (i % 7 === 0) === stderr ? Array<Buffer>(i % 5).fill(digest) : []
  })
  return Buffer.concat(pieces.flat())
}

/** Stands between client and server, and cuts each connection somewhere. */
async function cuttingProxy(target: string, path: string): Promise<AsyncDisposable & { cuts(): number }> {
  let cuts = 0
  const server = createServer((client) => {
    const upstream = connect(target)
    let left = randomInt(1, MOST)
    const cut = () => {
      client.destroy()
      upstream.destroy()
    }
    const pass = (from: typeof client, to: typeof client) => {
      from.on('error', cut)
      from.on('close', cut)
      from.on('data', (data) => {
        if (client.destroyed || upstream.destroyed) return
        to.write(data.subarray(0, left))
        left -= data.length
        if (left > 0) return
        cuts++
        to.end(cut)
      })
    }
    pass(client, upstream)
    pass(upstream, client)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    cuts: () => cuts,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

/** What a client has of an execution so far: also what came of a record whose rest was cut off. */
class Reading {
  readonly streams: Record<number, Buffer[]> = { [StreamKind.STDOUT]: [], [StreamKind.STDERR]: [] }
  offset = 0
  ended = false

  async read(response: IncomingMessage): Promise<void> {
    const pieces: Buffer[] = []
    try {
      for await (const piece of response) pieces.push(piece)
    } catch {
      // It was cut; what has come is good.
    }
    const bytes = Buffer.concat(pieces)
    for (let at = 0; at + STREAM_HEADER <= bytes.length; ) {
      const length = bytes.readUInt32LE(at + 1)
      const begin = at + STREAM_HEADER
      at = begin + length
      this.#keep(bytes[begin - STREAM_HEADER]!, bytes.subarray(begin, at), at <= bytes.length)
    }
  }

  #keep(kind: number, payload: Buffer, whole: boolean): void {
    if (kind === StreamKind.ENDED && whole) this.ended = true
    if (kind === StreamKind.STARTED && whole) expect(JSON.parse(payload.toString()).offset).toBe(this.offset)
    const pieces = this.streams[kind]
    if (pieces === undefined) return
    pieces.push(payload)
    this.offset += payload.length
  }
}

/** Asks for the output from `offset` on; null when the connection did not live to the answer. */
function attach(socketPath: string, execution: string, offset: number): Promise<IncomingMessage | null> {
  return new Promise((resolve) => {
    const path = `/v1/executions/${execution}/output?offset=${offset}`
    const headers = { accept: STREAM_TYPE }
    get({ socketPath, path, headers, agent: false }, resolve).on('error', () => resolve(null))
  })
}

test('output is the same, byte for byte, over thousands of cut connections and a death of the server', async ({
  server,
}) => {
  await using folder = await temporaryDirectory()
  const path = `${folder.path}/p.sock`
  await using proxy = await cuttingProxy(server.socketPath, path)
  const client = server.client()
  await using box = await Sandbox.create({ client })
  const job = await client.call('createJob', { id: box.id, argv: ['python3', '-c', PROGRAM] })
  const reading = new Reading()
  let reborn = false
  while (!reading.ended) {
    const response = await attach(path, job.id, reading.offset)
    if (response?.statusCode === 200) await reading.read(response)
    else response?.destroy()
    if (proxy.cuts() < DEATH || reborn) continue
    reborn = true
    await server.kill9()
    await server.up()
  }
  expect(proxy.cuts()).toBeGreaterThan(2000)
  expect(reborn).toBe(true)
  for (const kind of [StreamKind.STDOUT, StreamKind.STDERR]) {
    const got = Buffer.concat(reading.streams[kind]!)
    expect(got.equals(expected(kind === StreamKind.STDERR))).toBe(true)
  }
})
