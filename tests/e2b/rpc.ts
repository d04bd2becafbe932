import { Agent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'

/** What a request without a client got. */
export interface Reply {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

export interface Asked {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: string | Uint8Array
  /** Instead of the server's own. */
  agent?: Agent
}

/** A plain request, for what no client would send. */
export async function ask(
  url: string,
  { method = 'GET', headers = {}, body, agent }: Asked = {},
): Promise<Reply> {
  const response = await send(url, method, headers, body, agent)
  let text = ''
  response.setEncoding('utf8')
  for await (const piece of response) text += piece
  return { status: response.statusCode as number, headers: response.headers, text }
}

/** An enveloped message of the Connect protocol. */
export function envelope(message: unknown, flags = 0): Buffer {
  const json = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))
  const bytes = Buffer.alloc(5 + json.length)
  bytes[0] = flags
  bytes.writeUInt32BE(json.length, 1)
  json.copy(bytes, 5)
  return bytes
}

// biome-ignore lint/suspicious/noExplicitAny: messages have every shape.
export type Frame = { flags: number; message: any }

/** The answers of a stream, as they come. */
export interface Stream extends AsyncDisposable {
  status: number
  headers: IncomingMessage['headers']
  /** Breaks when the connection does. */
  frames: AsyncIterableIterator<Frame>
  /** All that is left. */
  rest(): Promise<Frame[]>
}

/** Calls a streaming procedure. */
export async function openStream(
  url: string,
  procedure: string,
  message: unknown,
  headers: OutgoingHttpHeaders,
  agent?: Agent,
): Promise<Stream> {
  const type = { 'content-type': 'application/connect+json', ...headers }
  const body = message instanceof Uint8Array ? message : envelope(message)
  const response = await send(`${url}/${procedure}`, 'POST', type, body, agent)
  const frames = framesOf(response)
  return {
    status: response.statusCode as number,
    headers: response.headers,
    frames,
    rest: async () => {
      const left: Frame[] = []
      for await (const frame of frames) left.push(frame)
      return left
    },
    [Symbol.asyncDispose]: async () => void response.destroy(),
  }
}

async function* framesOf(response: IncomingMessage): AsyncGenerator<Frame> {
  let waiting = Buffer.alloc(0)
  for await (const piece of response) {
    waiting = Buffer.concat([waiting, piece])
    while (waiting.length >= 5 && waiting.length >= 5 + waiting.readUInt32BE(1)) {
      const size = waiting.readUInt32BE(1)
      yield { flags: waiting[0] as number, message: JSON.parse(waiting.subarray(5, 5 + size).toString()) }
      waiting = waiting.subarray(5 + size)
    }
  }
}

function send(
  url: string,
  method: string,
  headers: OutgoingHttpHeaders,
  body?: string | Uint8Array,
  agent?: Agent,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      url,
      { method, headers, agent: agent ?? new Agent({ keepAlive: false }) },
      resolve,
    )
    request.on('error', reject)
    // Chunked for every method, as these clients do.
    if (body !== undefined && headers['content-length'] === undefined)
      request.setHeader('transfer-encoding', 'chunked')
    request.end(body)
  })
}
