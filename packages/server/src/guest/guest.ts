import type { Duplex } from 'node:stream'
import type { ExactEntry, ExactReading } from './exact-tree.ts'

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
  /**
   * Connects to a TCP port of the sandbox's own loopback; the stream half-closes both ways, and destroying it resets.
   * @throws SandboxError `port_closed` when nothing listens, `agent_lost`
   */
  dial(port: number, signal?: AbortSignal): Promise<Duplex>
  /** Resolves, never rejects, when the connection is gone. */
  readonly closed: Promise<void>
  /** @param reason what requests under way are told */
  close(reason?: string): void
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
  /** Lets the program wait when its output is beyond `offset` by more than a window; null: it need not wait. */
  pace(offset: number | null): void
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

/** What is told of a file when its attributes were asked for. Text: bytes that are not UTF-8 become U+FFFD. */
export interface Attributed {
  /** Names without `user.`; absent for links and the like, and from an agent that does not tell them. */
  attributes?: Record<string, string>
  /** How many there was no room for, or could not be read; absent: none. */
  attributesSkipped?: number
  /** What a symbolic link leads to in the end, where it leads to something. */
  resolved?: Pick<FileStat, 'type' | 'mode'> & { path: string }
}

/** Numbers of a user and a group. */
export interface Owner {
  uid: number
  gid: number
}

/** File operations, done inside the sandbox as `user` (default: container root). Errors are the `file_*` rows, `no_space`, `directory_not_empty`. */
export interface GuestFiles {
  /** Streams a regular file; leaving the iteration early cancels it. */
  read(
    path: string,
    options: { user?: string; offset?: number; length?: number; resume?: string },
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; data: AsyncIterable<Uint8Array> }>
  /**
   * Replaces a file atomically; a failure leaves the old one. `owner`, only as root: whose the file and the directories
   * made for it are; `attributes` are set before it takes its place.
   */
  write(
    path: string,
    data: AsyncIterable<Uint8Array> | Uint8Array,
    options: {
      user?: string
      mode?: number
      parents?: boolean
      owner?: Owner
      attributes?: Record<string, string>
    },
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat; created: string[] }>
  /**
   * Sends a part of a resumable upload, whose `resume` name finds again what was received earlier, also by another
   * connection or server. The file is replaced when the upload holds `size` bytes; `stat` is null before that.
   * @throws SandboxError `upload_offset` when it does not reach up to `offset`
   */
  writePart(
    path: string,
    data: AsyncIterable<Uint8Array> | Uint8Array,
    options: {
      user?: string
      mode?: number
      parents?: boolean
      resume: string
      offset: number
      size: number
    },
    signal?: AbortSignal,
  ): Promise<{ stat: FileStat | null; offset: number; created: string[] }>
  /** How much a resumable upload holds; 0 when there is none. */
  received(path: string, options: { user?: string; resume: string }, signal?: AbortSignal): Promise<number>
  /** Writes a tree; with `base`, nothing of it gets out of that directory. @throws SandboxError whose cause is a `TreeFailure` when it failed at an entry */
  writeTree(
    base: string | null,
    entries: AsyncIterable<TreeEntry> | Iterable<TreeEntry>,
    options: { user?: string },
    signal?: AbortSignal,
  ): Promise<{ entries: number; bytes: number; created: string[] }>
  /** Reads a tree, directories before what is in them; links are not followed, other mounts not entered. */
  readTree(
    path: string,
    options: { user?: string; depth?: number; content?: boolean; attributes?: boolean },
    signal?: AbortSignal,
  ): Promise<TreeReading>
  /**
   * Reads a tree as it is, as root: owners, all bits of the mode, times to the nanosecond, attributes, FIFOs and hard
   * links. What it has no way to keep (sockets, devices) is skipped.
   */
  readExactly(path: string, signal?: AbortSignal): Promise<ExactReading>
  /**
   * Writes entries as they are below a directory whose links are followed as if it were the root. `lost`: attributes
   * that the sandbox may not set. @throws as `writeTree`
   */
  writeExactly(
    path: string,
    entries: AsyncIterable<ExactEntry>,
    signal?: AbortSignal,
  ): Promise<{ entries: number; bytes: number; lost: number }>
  /** Tells changes below a directory until the signal aborts or the iteration is left; ends when the directory is removed. */
  watch(
    path: string,
    options: { user?: string; recursive?: boolean },
    signal?: AbortSignal,
  ): Promise<AsyncIterable<GuestFileChange>>
  stat(
    path: string,
    options: { user?: string; follow?: boolean; attributes?: boolean },
    signal?: AbortSignal,
  ): Promise<FileStat & Attributed>
  list(
    path: string,
    options: { user?: string; attributes?: boolean },
    signal?: AbortSignal,
  ): Promise<(FileStat & Attributed & { name: string })[]>
  /**
   * Sets attributes, and removes those that are null, of a file or directory; links are followed. One by one: what fails
   * leaves those before it done. @throws SandboxError `not_supported` where the file system has none, `invalid_request`
   */
  setAttributes(
    path: string,
    attributes: Record<string, string | null>,
    options: { user?: string },
    signal?: AbortSignal,
  ): Promise<void>
  mkdir(
    path: string,
    options: { user?: string; mode?: number; parents?: boolean; owner?: Owner },
    signal?: AbortSignal,
  ): Promise<string[]>
  rename(from: string, to: string, options: { user?: string }, signal?: AbortSignal): Promise<void>
  remove(
    path: string,
    options: { user?: string; recursive?: boolean; resume?: string },
    signal?: AbortSignal,
  ): Promise<void>
  chmod(path: string, mode: number, options: { user?: string }, signal?: AbortSignal): Promise<void>
  chown(
    path: string,
    uid: number,
    gid: number,
    options: { user?: string },
    signal?: AbortSignal,
  ): Promise<void>
}

/** An entry to write. `path` is relative to the base, or a path of its own where there is none. */
export type TreeEntry = { path: string; mode?: number; mtimeMs?: number } & (
  | { type: 'file'; size: number; data: AsyncIterable<Uint8Array> | Uint8Array }
  | { type: 'directory' }
  | { type: 'symlink'; link: string }
)

/** Which entry a tree failed at, and how many before it were completed. */
export class TreeFailure extends Error {
  readonly entry: string
  readonly entries: number

  constructor(entry: string, entries: number) {
    super(`at entry "${entry}" after ${entries} others`)
    this.entry = entry
    this.entries = entries
  }
}

export interface TreeReading {
  /** Of the path itself. */
  stat: FileStat
  /** `data` of a file, with `content`, must be read to its end, or the iteration left, before the next entry is asked for. */
  entries: AsyncIterable<FileStat & Attributed & { path: string; data: AsyncIterable<Uint8Array> | null }>
  /** After the iteration: entries that were left out or changed while they were read. */
  readonly skipped: number
}

export interface GuestFileChange {
  type: 'create' | 'write' | 'remove' | 'rename' | 'chmod' | 'overflow'
  /** Relative to the watched directory; empty: that itself. */
  path: string
  target: string | null
  fileType: FileStat['type'] | null
  /** Of `create`: it has been written already, and no `write` need follow. */
  content?: true
}
