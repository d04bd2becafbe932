import type { IncomingMessage } from 'node:http'
import { posix } from 'node:path'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { openRange } from '../v1/file-ranges.ts'
import { Actor } from './accounts.ts'
import { composeRoutes } from './compose.ts'
import { METADATA_PREFIX, metadataOf } from './entries.ts'
import { Refused } from './errors.ts'
import { boundaryOf, partsOf } from './multipart.ts'
import { naming } from './naming.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'

/** `/files`: contents of files, in and out. */
export function fileRoutes(dialect: Dialect): Route[] {
  const { useCases } = dialect
  return [
    {
      name: 'files.read',
      method: 'GET',
      path: '/files',
      auth: 'signature',
      handle: (call) => readFile(useCases, call),
    },
    {
      name: 'files.write',
      method: 'POST',
      path: '/files',
      auth: 'signature',
      upload: true,
      handle: async (call) => ({ json: await receive(useCases, call) }),
    },
    ...composeRoutes(dialect),
  ]
}

/** A browser that opens a link must never take what a sandbox wrote for a page of this server. */
const HARMLESS = {
  'content-security-policy': "sandbox; default-src 'none'",
  'x-content-type-options': 'nosniff',
}

async function readFile(useCases: UseCases, call: Call): Promise<Answer> {
  const { sandbox, query, request, signal } = call
  if (!takesIdentity(request))
    throw new Refused(406, 'files are sent as they are; accept the encoding "identity"')
  const path = await actorOf(useCases, call).resolve(query.get('path') ?? '')
  const open = (part: { offset: number; length?: number }) =>
    useCases.readFile(sandbox, { path, user: Actor.user, ...part }, signal)
  const { status, headers, length, data } = await naming(path, openRange(open, request.headers))
  const name = encodeURIComponent(posix.basename(path).toWellFormed()).replaceAll("'", '%27')
  const known = await knownLength(length, data)
  return {
    status,
    headers: {
      ...HARMLESS,
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename*=UTF-8''${name}`,
      ...headers,
      ...(known.length !== null && status !== 304 && { 'content-length': String(known.length) }),
    },
    data: known.data,
  }
}

/** Most files without a size are empty, and then their length can be told: clients look for a zero. */
async function knownLength(
  length: number | null,
  data: AsyncIterable<Uint8Array>,
): Promise<{ length: number | null; data: AsyncIterable<Uint8Array> }> {
  if (length !== null) return { length, data }
  const pieces = data[Symbol.asyncIterator]()
  const first = await pieces.next()
  if (first.done) return { length: 0, data: (async function* () {})() }
  return {
    length: null,
    data: (async function* () {
      try {
        yield first.value
        for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
      } finally {
        await pieces.return?.()
      }
    })(),
  }
}

/** @returns what was written, in order */
async function receive(useCases: UseCases, call: Call): Promise<object[]> {
  const { query, request } = call
  const contentType = request.headers['content-type']
  const metadata = metadataFrom(request)
  const boundary = boundaryOf(contentType)
  if (boundary === null && contentType?.split(';')[0]?.trim().toLowerCase() !== 'application/octet-stream')
    throw new Refused(400, 'the body must be multipart/form-data or application/octet-stream')
  const upload = new Upload(useCases, call, metadata)
  const path = query.get('path')
  if (boundary === null) {
    if (!path) throw new Refused(400, 'path is needed with application/octet-stream')
    return [await upload.write(path, call.upload)]
  }
  const written: object[] = []
  for await (const part of partsOf(call.upload, boundary)) {
    if (part.name !== 'file') continue
    const named = path || part.filename
    if (!named) throw new Refused(400, 'a part has neither a file name nor is there a path')
    written.push(await upload.write(named, part.data))
  }
  if (written.length === 0) throw new Refused(400, 'the form has no part named "file"')
  return written
}

/** The files of one request. */
class Upload {
  readonly #useCases: UseCases
  readonly #call: Call
  readonly #actor: Actor
  readonly #metadata: Record<string, string>
  readonly #written = new Set<string>()
  readonly #directories = new Set<string>()

  constructor(useCases: UseCases, call: Call, metadata: Record<string, string>) {
    this.#useCases = useCases
    this.#call = call
    this.#actor = actorOf(useCases, call)
    this.#metadata = metadata
  }

  async write(asked: string, data: AsyncIterable<Uint8Array>): Promise<object> {
    const { sandbox, signal } = this.#call
    const path = await this.#actor.resolve(asked)
    const normal = posix.normalize(path)
    if (this.#written.has(normal))
      throw new Refused(400, `'${path}' is written twice by one request; only the first was`)
    this.#written.add(normal)
    const parent = posix.dirname(path)
    const query = {
      path,
      user: Actor.user,
      parents: !this.#directories.has(parent),
      owner: await this.#actor.owner(),
      attributes: this.#metadata,
    }
    await naming(path, this.#useCases.writeFile(sandbox, query, data, signal))
    this.#directories.add(parent)
    const metadata = metadataOf(this.#metadata)
    return { name: posix.basename(path), path, type: 'file', ...(metadata && { metadata }) }
  }
}

/** Whom the query names. */
function actorOf(useCases: UseCases, { sandbox, query }: Call): Actor {
  return new Actor(useCases, sandbox, query.get('username') || undefined)
}

const METADATA_HEADER = 'x-metadata-'
/** Bytes of a key, so that the name of its attribute has no more than 255 with what stands before. */
const MAX_KEY = 246
const MAX_METADATA = 4096

/** As attributes. @throws Refused 400 */
function metadataFrom({ headers }: IncomingMessage): Record<string, string> {
  const found = Object.entries(headers).filter(([name]) => name.startsWith(METADATA_HEADER))
  let bytes = 0
  const pairs = found.map(([header, value]) => {
    const key = header.slice(METADATA_HEADER.length)
    const text = String(value)
    bytes += key.length + text.length
    if (key === '' || key.length > MAX_KEY)
      throw new Refused(400, `a metadata key has 1 to ${MAX_KEY} characters`)
    if (!/^[\x20-\x7e]*$/.test(text))
      throw new Refused(400, `the value of metadata "${key}" is not printable ASCII`)
    return [METADATA_PREFIX + key, text] as const
  })
  if (bytes > MAX_METADATA) throw new Refused(400, `metadata has more than ${MAX_METADATA} bytes`)
  return Object.fromEntries(pairs)
}

/** RFC 9110, 12.5.3: unless it is ruled out, what is not encoded is acceptable. */
function takesIdentity({ headers }: IncomingMessage): boolean {
  const wishes = String(headers['accept-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((wish) => wish.replaceAll(' ', ''))
  const ruledOut = (coding: string) => wishes.some((wish) => new RegExp(`^${coding};q=0(\\.0*)?$`).test(wish))
  if (ruledOut('identity')) return false
  return !ruledOut('\\*') || wishes.some((wish) => wish.startsWith('identity'))
}
