import { SandboxError } from '@caisson/protocol/errors'
import { STREAM_TYPE } from '@caisson/protocol/stream'
import type { InputOf, OperationName, OutputOf } from './contract.ts'
import { hasNode, readEnvironment } from './environment.ts'
import { type From, pause } from './follow.ts'
import { parseSocketMessage, RecordReader, type StreamRecord } from './records.ts'
import { buildRequest } from './request.ts'
import { Runtimes } from './runtimes.ts'
import { Sessions } from './sessions.ts'
import { Snapshots } from './snapshots.ts'
import { Storage } from './storage.ts'
import { Templates } from './templates.ts'
import type { Body, Channel, Transport, TransportRequest, TransportResponse } from './transport/transport.ts'
import { gather } from './transport/transport.ts'
import { Volumes } from './volumes.ts'
import { errorFromWire } from './wire-error.ts'

/** How to reach a server. With nothing given: `CAISSON_URL`, else the local server. */
export interface ClientOptions {
  /** `https://host`, `http://host:port` or `unix:///path/api.sock`. Default: `CAISSON_URL`. */
  url?: string | undefined
  /** Not needed over the unix socket. Default: `CAISSON_API_KEY`. */
  apiKey?: string | undefined
  /** Data directory of the local server, whose socket is `run/api.sock` in it. Default: `CAISSON_DATA_DIR`. */
  dataDir?: string | undefined
  /**
   * What to do when the local server does not run. Default: start it (`caisson serve --background`). `false`: fail
   * with `server_unreachable`. A remote server is never started.
   */
  start?: boolean | ((dataDir: string) => Promise<void>) | undefined
  /** Another way to carry requests, for tests and unusual networks. */
  transport?: Transport | undefined
}

/** Of every call. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  /** Makes a repeated request return the first one's result. Chosen by the SDK where it repeats by itself. */
  idempotencyKey?: string | undefined
}

/** Of a call that sends bytes. */
interface UploadOptions extends CallOptions {
  /** Bytes of the body, where they are known: it then travels without a frame around each piece. */
  length?: number | undefined
}

/** Of a call whose answer is read as it comes. */
interface OpenOptions extends UploadOptions {
  upload?: Body | undefined
  accept?: string | undefined
}

/** Beside reading: operations of which a second has no effect beyond the first's. */
const REPEATABLE = new Set<OperationName>([
  'writeFile',
  'writeFiles',
  'deleteSandbox',
  'changeMode',
  'changeOwner',
  'stopJob',
  'updateEnvironment',
  'resizeExecution',
  'setNetwork',
  'exposePort',
  'linkPort',
  'pauseSandbox',
  'resumeSandbox',
  'tagSnapshot',
  'deleteSession',
  'setAttributes',
  'changeVolumeFile',
  'putBuildFiles',
  'cancelBuild',
  'tagTemplate',
  'untagTemplate',
])

/** Milliseconds before each new try of a request whose repetition changes nothing. */
const RETRY_DELAYS = [50, 200, 800]

/**
 * A connection to one server, shared by the sandboxes that are made with it. Connections are kept open between
 * requests and do not keep the process alive.
 *
 * @example
 * ```ts
 * import { Client, Sandbox } from 'caisson'
 *
 * // Elsewhere: new Client({ url: 'https://sandboxes.example.org', apiKey: 'csk_…' })
 * const client = new Client()
 * await using sandbox = await Sandbox.create({ client })
 * console.log((await client.call('getServer')).isolation)
 * ```
 */
export class Client {
  /** Where requests go; a `unix:` URL for the local server. */
  readonly url: string
  /** Whether this is the server of this machine's data directory. */
  readonly local: boolean
  /** Saved files that new sandboxes are made from. */
  readonly snapshots = new Snapshots(this)
  /** Sandboxes for conversations. */
  readonly sessions = new Sessions(this)
  /** What sandboxes can be made of. */
  readonly runtimes = new Runtimes(this)
  /** What sandboxes are made of that was built in steps. */
  readonly templates = new Templates(this)
  /** Files that outlive sandboxes. */
  readonly volumes = new Volumes(this)
  /** The server's disk. */
  readonly storage = new Storage(this)
  readonly #apiKey: string | undefined
  readonly #transport: Promise<Transport>
  readonly #start: (() => Promise<void>) | undefined
  #starting: Promise<void> | undefined

  constructor(options: ClientOptions = {}) {
    const environment = readEnvironment()
    const dataDir = options.dataDir ?? environment.dataDir
    const remote = options.url ?? (options.dataDir === undefined ? environment.url : undefined)
    this.local = remote === undefined && options.transport === undefined
    this.url = options.transport?.url ?? remote ?? socketUrl(`${dataDir}/run/api.sock`)
    this.#apiKey = options.apiKey ?? environment.apiKey
    this.#transport = options.transport ? Promise.resolve(options.transport) : loadTransport(this.url)
    // The failure belongs to the first request, not to the construction.
    this.#transport.catch(() => {})
    const { start = true } = options
    if (this.local && start !== false)
      this.#start = () => (typeof start === 'function' ? start(dataDir) : startLocal(dataDir))
  }

  /**
   * Calls an operation of the API by its name; input and answer are typed.
   *
   * @example
   * ```ts
   * import { Client } from 'caisson'
   *
   * const client = new Client()
   * const { keys } = await client.call('listKeys')
   * console.log(keys.map((key) => key.name))
   * console.log(await client.call('getStats', { start: '2026-01-01T00:00:00Z' }))
   * console.log((await client.call('listSshKeys')).keys.length)
   * ```
   * @throws SandboxError any code of the operation, `server_unreachable`, `connection_lost`, `aborted`
   */
  async call<N extends OperationName>(
    operation: N,
    input: InputOf<N> = {} as InputOf<N>,
    options: CallOptions = {},
  ): Promise<OutputOf<N>> {
    const response = await this.open(operation, input, options)
    return (await readJson(response)) as OutputOf<N>
  }

  /** Reads a JSON document that is no operation of the table, such as `/v1/openapi.json`. */
  async json(path: string, options: CallOptions = {}): Promise<unknown> {
    return readJson(
      await this.#send({ method: 'GET', path, headers: this.#headers({}) }, true, options.signal),
    )
  }

  /** Calls an operation that takes bytes. */
  async upload<N extends OperationName>(
    operation: N,
    input: InputOf<N>,
    body: Body,
    options: UploadOptions = {},
  ): Promise<OutputOf<N>> {
    return (await readJson(await this.open(operation, input, { ...options, upload: body }))) as OutputOf<N>
  }

  /** Calls an operation and gives the answer's bytes. Callers read them to the end or leave the loop. */
  async open<N extends OperationName>(
    operation: N,
    input: InputOf<N>,
    options: OpenOptions = {},
  ): Promise<TransportResponse> {
    const { upload, length, accept, idempotencyKey, signal } = options
    const headers = this.#headers({
      ...(accept !== undefined && { accept }),
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    })
    const built = buildRequest(operation, input as Record<string, unknown>, headers, upload)
    const request = length === undefined ? built : { ...built, length }
    const repeatable = idempotencyKey !== undefined || request.method === 'GET' || REPEATABLE.has(operation)
    return this.#send(request, repeatable && isWhole(upload), signal)
  }

  /** Opens an execution stream and parses it. */
  async stream<N extends 'run' | 'exec' | 'attachExecution'>(
    operation: N,
    input: InputOf<N>,
    options: CallOptions = {},
  ): Promise<AsyncIterable<StreamRecord[]>> {
    const response = await this.open(operation, input, { ...options, accept: STREAM_TYPE })
    return parseStream(response.body)
  }

  /** Opens a WebSocket to an execution: the parsed records, and the channel to answer on. */
  async socket(
    execution: string,
    from: From,
    signal?: AbortSignal,
  ): Promise<{ channel: Channel; records: AsyncIterable<StreamRecord[]> }> {
    const transport = await this.#transport
    const { path } = buildRequest('connectExecution', { execution, ...from }, {})
    const channel = await transport.connect(path, this.#apiKey, signal)
    return { channel, records: parseSocket(channel) }
  }

  /** Whether a request body is sent while it is produced. */
  async streamsUploads(): Promise<boolean> {
    return (await this.#transport).streamsUploads
  }

  /** Closes idle connections. */
  async close(): Promise<void> {
    ;(await this.#transport).close()
  }

  #headers(more: Record<string, string>): Record<string, string> {
    return this.#apiKey === undefined ? more : { authorization: `Bearer ${this.#apiKey}`, ...more }
  }

  async #send(
    request: TransportRequest,
    repeatable: boolean,
    signal: AbortSignal | undefined,
  ): Promise<TransportResponse> {
    const transport = await this.#transport
    for (let tries = 0; ; tries++) {
      try {
        const response = await transport.request(request, signal)
        if (response.status >= 400) throw await readError(response)
        return response
      } catch (error) {
        if (tries === 0 && SandboxError.is(error, 'server_unreachable') && this.#start)
          await this.#startOnce()
        else if (!repeatable || !worthRepeating(error, tries)) throw error
        else await pause(RETRY_DELAYS[tries]!, signal)
      }
    }
  }

  #startOnce(): Promise<void> {
    this.#starting ??= this.#start!().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }
}

const socketUrl = (path: string): string => `unix://${path.split('/').map(encodeURIComponent).join('/')}`

/** Unreachable is worth a new try only after a break: at first it means that nothing is there. */
function worthRepeating(error: unknown, tries: number): boolean {
  if (tries >= RETRY_DELAYS.length) return false
  return (
    SandboxError.is(error, 'connection_lost') || (tries > 0 && SandboxError.is(error, 'server_unreachable'))
  )
}

/** A body that is produced once cannot be sent again. */
const isWhole = (body: Body | undefined): boolean =>
  body === undefined || typeof body === 'string' || body instanceof Uint8Array

async function loadTransport(url: string): Promise<Transport> {
  if (hasNode) return (await import('./transport/node.ts')).createNodeTransport(url)
  return (await import('./transport/fetch.ts')).createFetchTransport(url)
}

async function startLocal(dataDir: string): Promise<void> {
  if (!hasNode) return
  const { startLocalServer } = await import('./local.ts')
  await startLocalServer(dataDir)
}

async function readJson(response: TransportResponse): Promise<unknown> {
  const bytes = await gather(response.body)
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new SandboxError('connection_lost', { what: 'the request: the answer is not JSON' }, { cause })
  }
}

async function readError(response: TransportResponse): Promise<SandboxError> {
  const text = new TextDecoder().decode(await gather(response.body))
  try {
    return errorFromWire(JSON.parse(text), response.status)
  } catch {
    return errorFromWire(undefined, response.status)
  }
}

async function* parseStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<StreamRecord[]> {
  const reader = new RecordReader()
  for await (const chunk of body) yield reader.push(chunk)
}

async function* parseSocket(channel: Channel): AsyncGenerator<StreamRecord[]> {
  try {
    for await (const message of channel) {
      const record = parseSocketMessage(message)
      yield record ? [record] : []
    }
  } finally {
    channel.close()
  }
}
