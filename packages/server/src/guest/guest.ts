/**
 * The host's end of the agent protocol (packages/protocol/src/frames.ts). Every byte that arrives is hostile:
 * frames are bounded, numbers are checked, names stay names. One `Guest` is one connection to one agent.
 *
 * When the connection breaks, pending requests fail with `agent_lost`; executions go on inside, and a new
 * connection picks them up with `attach`.
 */
export interface Guest {
  /** Random bytes made when the agent started, hex: another value is another agent. */
  readonly nonce: string
  /** Ids of the executions that the agent held when this connection began. */
  readonly held: readonly string[]
  readonly files: GuestFiles
  /** Starts a program; resolves when the agent has executed it. @throws SandboxError `command_not_found`, `cannot_start`, `too_many`, `agent_lost` */
  start(request: StartRequest, sink: OutputSink, signal?: AbortSignal): Promise<GuestExecution>
  /** Follows a held execution from an output offset on. */
  attach(id: string, offset: number, sink: OutputSink, signal?: AbortSignal): Promise<GuestExecution>
  /** Resolves, never rejects, when the connection is gone. */
  readonly closed: Promise<void>
  close(): void
}

export interface StartRequest {
  id: string
  argv: string[]
  env: Record<string, string>
  cwd?: string
  /** Name, uid, `name:group` or `uid:gid`, of the sandbox's own user database. */
  user?: string
  tty?: { cols: number; rows: number }
  /** Open a pipe (else stdin is /dev/null). */
  stdin: boolean
}

/**
 * Keeps output. `write` is called in order; the bytes are acknowledged to the agent once it has returned, or its promise
 * has resolved, and the agent keeps what is not acknowledged. `data` is only valid during the call.
 */
export interface OutputSink {
  write(offset: number, stream: 'stdout' | 'stderr', data: Uint8Array): void | Promise<void>
}

export interface GuestExecution {
  readonly pid: number
  /** How the leader ended. @throws SandboxError `agent_lost` when the connection breaks first. */
  readonly exited: Promise<GuestExit>
  /** Resolves with the total length when no process holds the output open any more. */
  readonly outputClosed: Promise<number>
  /** Resolves when the bytes are within the window: awaiting it is the back-pressure. */
  writeStdin(data: Uint8Array, signal?: AbortSignal): Promise<void>
  closeStdin(): void
  signal(name: string, scope: 'leader' | 'group' | 'tree', signal?: AbortSignal): Promise<void>
  resize(cols: number, rows: number): void
  /** The agent may drop the execution: its ending and output are kept here. */
  forget(): void
}

export type GuestExit = ({ code: number } | { signal: string }) & { cpuUsec: number; maxRssBytes: number }

export interface FileStat {
  type: 'file' | 'directory' | 'symlink' | 'other'
  size: number
  /** Permission bits, 0–0o7777. */
  mode: number
  uid: number
  gid: number
  owner: string | null
  group: string | null
  mtimeMs: number
  /** Target of a symbolic link. */
  link: string | null
}

/** File operations, done inside the sandbox as `user` (default: container root). Errors are the `file_*` rows, `no_space`, `directory_not_empty`. */
export interface GuestFiles {
  /** Streams a regular file; leaving the iteration early cancels it. */
  read(
    path: string,
    options: { user?: string; offset?: number; length?: number },
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; data: AsyncIterable<Uint8Array> }>
  /** Replaces a file atomically; a failure leaves the old one. */
  write(
    path: string,
    data: AsyncIterable<Uint8Array> | Uint8Array,
    options: { user?: string; mode?: number; parents?: boolean },
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; created: string[] }>
  stat(path: string, options: { user?: string; follow?: boolean }, signal?: AbortSignal): Promise<FileStat>
  list(
    path: string,
    options: { user?: string },
    signal?: AbortSignal,
  ): Promise<(FileStat & { name: string })[]>
  mkdir(
    path: string,
    options: { user?: string; mode?: number; parents?: boolean },
    signal?: AbortSignal,
  ): Promise<string[]>
  rename(from: string, to: string, options: { user?: string }, signal?: AbortSignal): Promise<void>
  remove(path: string, options: { user?: string; recursive?: boolean }, signal?: AbortSignal): Promise<void>
  chmod(path: string, mode: number, options: { user?: string }, signal?: AbortSignal): Promise<void>
  chown(
    path: string,
    uid: number,
    gid: number,
    options: { user?: string },
    signal?: AbortSignal,
  ): Promise<void>
}
