import { SandboxError } from '@caisson/protocol/errors'
import type { FileInfo } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { OutputOf } from './contract.ts'
import { bytesOf, type Source } from './stdin.ts'
import { concat } from './transport/transport.ts'

/** Files are touched inside the sandbox, as this user; default: the runtime's, "agent". Relative paths: its home. */
export interface FileOptions extends CallOptions {
  user?: string | undefined
}

export interface ReadOptions extends FileOptions {
  /** First byte; default 0. */
  offset?: number | undefined
  /** Bytes to read; default: to the end. */
  length?: number | undefined
}

export interface WriteOptions extends FileOptions {
  /** Permission bits, such as 0o755. */
  mode?: number | undefined
  /** Make missing parent directories; default true. */
  parents?: boolean | undefined
}

/** Larger files are read by `stream()`: a program in the sandbox decides how large its files are. */
const READ_LIMIT = 1_073_741_824

/**
 * The files of a sandbox.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create()
 * await sandbox.files.write('notes/today.txt', 'hello')
 * console.log(await sandbox.files.readText('notes/today.txt'))
 * for (const file of await sandbox.files.list('notes')) console.log(file.name, file.size)
 * ```
 */
export class Files {
  readonly #client: Client
  readonly #id: string

  constructor(client: Client, id: string) {
    this.#client = client
    this.#id = id
  }

  /**
   * Reads a file into memory.
   *
   * @throws SandboxError `file_not_found`, `file_denied`, `file_wrong_type`; `payload_too_large` beyond 1 GiB
   */
  async read(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let size = 0
    for await (const part of this.stream(path, options)) {
      size += part.length
      if (size > READ_LIMIT)
        throw new SandboxError('payload_too_large', { what: `"${path}"`, limit: READ_LIMIT })
      parts.push(part)
    }
    return concat(parts)
  }

  /** Reads a file as UTF-8. */
  async readText(path: string, options: ReadOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options))
  }

  /** Reads a file piece by piece, in constant memory. */
  async *stream(path: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal, ...rest } = options
    const response = await this.#client.open('readFile', { id: this.#id, path, ...rest }, { signal })
    yield* response.body
  }

  /** Writes a file; the old one stays until the new one is whole. A large source is streamed in constant memory. */
  async write(path: string, content: Source, options: WriteOptions = {}): Promise<OutputOf<'writeFile'>> {
    const { signal, ...rest } = options
    const upload = typeof content === 'string' || content instanceof Uint8Array ? content : bytesOf(content)
    const response = await this.#client.open('writeFile', { id: this.#id, path, ...rest }, { signal, upload })
    const parts: Uint8Array[] = []
    for await (const part of response.body) parts.push(part)
    return JSON.parse(new TextDecoder().decode(concat(parts)))
  }

  /** A directory's entries, sorted by name. */
  async list(path = '.', options: FileOptions = {}): Promise<FileInfo[]> {
    const { signal, user } = options
    return (await this.#client.call('listFiles', { id: this.#id, path, user }, { signal })).files
  }

  /** Describes a file; a link itself unless `follow` is true. */
  stat(path: string, options: FileOptions & { follow?: boolean } = {}): Promise<FileInfo> {
    const { signal, ...rest } = options
    return this.#client.call('statFile', { id: this.#id, path, ...rest }, { signal })
  }

  /** Whether there is something at the path. */
  async exists(path: string, options: FileOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options)
      return true
    } catch (error) {
      if (SandboxError.is(error, 'file_not_found')) return false
      throw error
    }
  }

  /** Makes a directory, with its parents unless told otherwise; gives those that were new. */
  async mkdir(
    path: string,
    options: FileOptions & { mode?: number; parents?: boolean } = {},
  ): Promise<string[]> {
    const { signal, ...rest } = options
    const input = { id: this.#id, path, parents: true, ...rest }
    return (await this.#client.call('makeDirectory', input, { signal })).directoriesCreated
  }

  /** Moves a file or directory. */
  rename(path: string, target: string, options: FileOptions = {}): Promise<void> {
    const { signal, ...rest } = options
    return this.#client.call('renameFile', { id: this.#id, path, target, ...rest }, { signal })
  }

  /** Removes a file, or a directory with all in it when `recursive` is true. Links are not followed. */
  remove(path: string, options: FileOptions & { recursive?: boolean } = {}): Promise<void> {
    const { signal, ...rest } = options
    return this.#client.call('removeFile', { id: this.#id, path, ...rest }, { signal })
  }

  /** Changes permission bits, such as 0o644. */
  chmod(path: string, mode: number, options: FileOptions = {}): Promise<void> {
    const { signal, ...rest } = options
    return this.#client.call('changeMode', { id: this.#id, path, mode, ...rest }, { signal })
  }

  /**
   * Changes owner and group, by number. Only root may: say `user: 'root'`, and an absolute path, since a relative one
   * begins at that user's home.
   */
  chown(path: string, uid: number, gid: number, options: FileOptions = {}): Promise<void> {
    const { signal, ...rest } = options
    return this.#client.call('changeOwner', { id: this.#id, path, uid, gid, ...rest }, { signal })
  }
}
