/**
 * Sandboxes for AI agents: create them, run code in them, move files in and out, throw them away.
 *
 * @module
 */
export { type ErrorCode, SandboxError } from '@caisson/protocol/errors'
export type {
  ApiKey,
  CreateSandbox,
  Execution as ExecutionInfo,
  ExecutionEnding,
  FileInfo,
  Runtime,
  Sandbox as SandboxInfo,
  ServerInfo,
  Status,
} from '@caisson/protocol/resources'
export { type CallOptions, Client, type ClientOptions } from './client.ts'
export type { InputOf, OperationName, OutputOf } from './contract.ts'
export { localDataDir } from './environment.ts'
export type { Command, ExecOptions, StartOptions } from './exec.ts'
export { Execution, type KillScope, type OutputOptions, type TerminalSize } from './execution.ts'
export { type FileOptions, Files, type ReadOptions, type WriteOptions } from './files.ts'
export type { OutputChunk } from './follow.ts'
export { getSandbox } from './get-sandbox.ts'
export { ExecFailed, ExecResult, type ResourcesGranted } from './result.ts'
export { type RunOptions, run } from './run.ts'
export {
  type ConnectOptions,
  type CreateOptions,
  type FilesToCreate,
  type ListQuery,
  Sandbox,
  SandboxPage,
} from './sandbox.ts'
export { type Source, toBase64 } from './stdin.ts'
export type {
  Body,
  Channel,
  Transport,
  TransportRequest,
  TransportResponse,
} from './transport/transport.ts'
