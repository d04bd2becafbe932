import type { operations } from '@caisson/protocol/operations'
import type { ApiKey, Execution, Runtime, Sandbox, Scope, ServerInfo } from '@caisson/protocol/resources'
import type { z } from 'zod'
import type { Stage } from '../core/plan.ts'
import type { FileStat } from '../guest/guest.ts'

type Body<N extends keyof typeof operations> = (typeof operations)[N] extends {
  body: infer B extends z.ZodType
}
  ? z.output<B>
  : never
type Query<N extends keyof typeof operations> = (typeof operations)[N] extends {
  query: infer Q extends z.ZodType
}
  ? z.output<Q>
  : never

/**
 * What the server can do, the only door to change anything: the API dialects, the proxy and SSH translate to these
 * calls and back. Inputs have been parsed by the operation's schema. `id` is an id or a name.
 */
export interface UseCases {
  createSandbox(
    input: Body<'createSandbox'>,
    options?: Once,
    signal?: AbortSignal,
  ): Promise<{ sandbox: Sandbox; stages: Stage[] }>
  getSandbox(id: string): Promise<Sandbox>
  listSandboxes(query: Query<'listSandboxes'>): Promise<{ sandboxes: Sandbox[]; total: number }>
  updateSandbox(id: string, change: Body<'updateSandbox'>): Promise<Sandbox>
  deleteSandbox(id: string): Promise<Sandbox>

  /** Creates, starts, and deletes the sandbox when the execution has ended or `signal` aborts. */
  run(input: Body<'run'>, signal: AbortSignal): Promise<{ output: Output; stages: Stage[] }>
  startExecution(id: string, input: Body<'startExecution'>, options?: Once): Promise<Execution>
  listExecutions(
    id: string,
    query: Query<'listExecutions'>,
  ): Promise<{ executions: Execution[]; total: number }>
  getExecution(execution: string): Promise<Execution>
  /** Output from an offset; with `follow`, until the execution has ended. Aborting stops only the reading. */
  readOutput(execution: string, offset: number, follow: boolean, signal?: AbortSignal): Promise<Output>
  killExecution(execution: string, input: Body<'killExecution'>): Promise<Execution>
  writeStdin(
    execution: string,
    data: AsyncIterable<Uint8Array>,
    close: boolean,
    signal?: AbortSignal,
  ): Promise<void>
  resizeTerminal(execution: string, cols: number, rows: number): Promise<void>

  readFile(
    id: string,
    query: Query<'readFile'>,
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; data: AsyncIterable<Uint8Array> }>
  writeFile(
    id: string,
    query: Query<'writeFile'>,
    data: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; created: string[] }>
  statFile(id: string, query: Query<'statFile'>): Promise<FileStat>
  listFiles(
    id: string,
    query: Query<'listFiles'>,
    signal?: AbortSignal,
  ): Promise<(FileStat & { name: string })[]>
  makeDirectory(id: string, input: Body<'makeDirectory'>): Promise<string[]>
  renameFile(id: string, input: Body<'renameFile'>): Promise<void>
  removeFile(id: string, query: Query<'removeFile'>, signal?: AbortSignal): Promise<void>
  changeMode(id: string, input: Body<'changeMode'>): Promise<void>
  changeOwner(id: string, input: Body<'changeOwner'>): Promise<void>

  listRuntimes(): Promise<Runtime[]>
  getServer(): Promise<ServerInfo>
  createKey(input: Body<'createKey'>): Promise<{ key: ApiKey; secret: string }>
  listKeys(): Promise<ApiKey[]>
  deleteKey(key: string): Promise<void>
  /** The scopes of a presented key; null when it is unknown or expired. */
  authenticate(secret: string): Promise<{ keyId: string; scopes: Scope[] } | null>

  /** Numbers for `/metrics`. */
  gauges(): { sandboxes: Record<string, number>; executionsRunning: number }
}

/** An idempotency key: the same key with the same request returns the first result. */
export interface Once {
  idempotencyKey?: string
}

/** Output as it is read: first the execution as it was at the start, then chunks, then the execution as it ended. */
export interface Output {
  execution: Execution
  /** Offset of the first chunk. */
  offset: number
  chunks: AsyncIterable<OutputChunk>
  /** After the chunks: the ended execution, or, without `follow`, the execution as it is now. */
  result(): Promise<Execution>
}

/** `data` is only valid until the next chunk is asked for. */
export interface OutputChunk {
  offset: number
  stream: 'stdout' | 'stderr'
  data: Uint8Array
}
