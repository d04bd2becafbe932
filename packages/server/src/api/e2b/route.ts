import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Scope } from '@caisson/protocol/resources'
import type { z } from 'zod'
import type { UseCases } from '../../sandboxes/use-cases.ts'

/**
 * Who may ask: whoever has an API key with this scope (`X-API-KEY` or `Authorization: Bearer`); `sandbox`: whoever has the
 * access token of the sandbox that the request is for (`X-Access-Token`); `signature`: that, or a signature in the query made
 * with it; `volume`: whoever has the token of the volume that the path names; `capability`: the path itself is secret;
 * `anybody`: no credentials.
 */
export type Auth = Scope | 'sandbox' | 'signature' | 'volume' | 'capability' | 'anybody'

/** Which clients speak: their headers and some of their bodies differ. */
export type Client = 'e2b' | 'moru'

/** One endpoint. The router, the matrix of the authorisation tests and the compatibility table follow from the list. */
export interface Route {
  /** Such as `sandboxes.create`, unique. */
  name: string
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With `{name}` for one segment, which comes decoded. */
  path: string
  auth: Auth
  /** The JSON body; absent: a body is not looked at, or is a stream. An empty body is read as `{}`. Unknown fields are left out. */
  body?: z.ZodType
  /** The body comes as bytes. */
  upload?: true
  /** What somebody is told who sent no key where one is needed; absent: that one is needed. */
  hint?: string
  handle(call: Call): Promise<Answer>
}

export interface Call {
  client: Client
  params: Record<string, string>
  query: URLSearchParams
  /** As `body` has parsed it. */
  body: unknown
  /** Id of the sandbox that a `sandbox` or `signature` request was let in to; else empty. */
  sandbox: string
  /** Of an `upload`: the bytes, decompressed when Content-Encoding says gzip. */
  upload: AsyncIterable<Uint8Array>
  request: IncomingMessage
  /** Aborts when the client has gone. */
  signal: AbortSignal
}

export type Answer =
  | { status?: number; json: unknown; headers?: Record<string, string> }
  | { status: 204 }
  | { status?: number; data: AsyncIterable<Uint8Array>; headers: Record<string, string> }
  /** The handler answers itself; it is called once authorised. */
  | { stream: (response: ServerResponse) => Promise<void> }

/** What routes are made from. */
export interface Dialect {
  useCases: UseCases
  /** Of hosts `<port>-<id>.<domain>`, with the server's own port: what clients make addresses of. */
  domain(): string
  /** Absolute address of a path of this server, for links. */
  url(path: string): string
  /** Files of a volume may be moved by whoever knows its id: Moru's client sends no credentials with them. */
  volumeIdIsCapability: boolean
}
