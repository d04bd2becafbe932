/**
 * Sandboxes for AI agents: create them, run code in them, move files in and out, throw them away.
 *
 * @module
 */
export { type ErrorCode, SandboxError } from '@caisson/protocol/errors'
export type {
  ApiKey,
  Build,
  BuildFrom,
  BuildLogEntry,
  BuildStep,
  Checkpoint,
  Collected,
  CreateSandbox,
  CreateSnapshot,
  CreateVolume,
  Destination,
  DiskUsage,
  Event as SandboxEvent,
  Execution as ExecutionInfo,
  ExecutionEnding,
  ExposedPort,
  FileChange,
  FileInfo,
  Job as JobInfo,
  JobStatus,
  Lineage,
  Network as NetworkInfo,
  NetworkAsked,
  NetworkExplanation,
  NetworkLogEntry,
  NetworkRules,
  NetworkState,
  PauseDepth,
  PauseState,
  Runtime,
  Sandbox as SandboxInfo,
  ServerInfo,
  Session as SessionInfo,
  Snapshot,
  SshKey,
  Stats,
  Status,
  Template,
  Usage,
  UsageSample,
  Volume,
  VolumeMount,
} from '@caisson/protocol/resources'
export { ArchiveDownload } from './archive.ts'
export type { BuildOptions, BuildResult } from './build/build.ts'
export { Checkpoints } from './checkpoints.ts'
export { type CallOptions, Client, type ClientOptions } from './client.ts'
export type { InputOf, OperationName, OutputOf } from './contract.ts'
export type { ConnectOptions, CreateOptions } from './create-options.ts'
export { localDataDir } from './environment.ts'
export type { Command, ExecOptions, StartOptions } from './exec.ts'
export {
  Execution,
  type KillScope,
  type LogOptions,
  type TerminalOptions,
  type TerminalSize,
} from './execution.ts'
export type { FilesToCreate } from './file-list.ts'
export {
  type ArchiveFormat,
  type FileLink,
  type FileOptions,
  Files,
  type ReadOptions,
} from './files.ts'
export type { OutputChunk } from './follow.ts'
export { getSandbox } from './get-sandbox.ts'
export { getSession } from './get-session.ts'
export { Job, type JobOptions, Jobs } from './jobs.ts'
export { SandboxNetwork } from './network.ts'
export type { OutputOptions } from './output.ts'
export { type PortLink, Ports } from './ports.ts'
export { ExecFailed, ExecResult, type ResourcesGranted } from './result.ts'
export { type RunOptions, run } from './run.ts'
export { type OnStep, Runtimes } from './runtimes.ts'
export { type ListQuery, Sandbox } from './sandbox.ts'
export { SandboxPage } from './sandbox-page.ts'
export { Session, type SessionOptions, type SessionQuery, Sessions } from './sessions.ts'
export { Snapshots } from './snapshots.ts'
export { type Source, toBase64 } from './stdin.ts'
export { Storage } from './storage.ts'
export {
  Builds,
  type CopyStep,
  type TemplateBuildOptions,
  type TemplateDefinition,
  type TemplateStep,
  Templates,
} from './templates.ts'
export { type OpenTerminal, Terminal } from './terminal.ts'
export type {
  Body,
  Channel,
  Transport,
  TransportRequest,
  TransportResponse,
} from './transport/transport.ts'
export type { FileSource, Progress } from './upload.ts'
export { Variables } from './variables.ts'
export { VolumeFiles, type VolumeOwner, type VolumeReadOptions } from './volume-files.ts'
export { Volumes } from './volumes.ts'
export { FileWatch } from './watch.ts'
export type { WriteOptions } from './write-file.ts'
