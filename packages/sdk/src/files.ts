import { SandboxError } from '@caisson/protocol/errors'
import type { FileInfo } from '@caisson/protocol/resources'
import { ArchiveDownload } from './archive.ts'
import type { CallOptions, Client } from './client.ts'
import type { InputOf, OutputOf } from './contract.ts'
import { type FilesToCreate, fileList } from './file-list.ts'
import { readWhole } from './read-whole.ts'
import { bytesOf, type Source } from './stdin.ts'
import type { FileSource } from './upload.ts'
import { type FileWatch, openWatch } from './watch.ts'
import { type WriteOptions, writeFile } from './write-file.ts'

/** Files are touched inside the sandbox, as this user; default: the runtime's, "agent". Relative paths: its home. */
export interface FileOptions extends CallOptions {
  user?: string | undefined
}

/** Which part of a file is read. */
export interface ReadOptions extends FileOptions {
  /** First byte; default 0. */
  offset?: number | undefined
  /** Bytes to read; default: to the end. */
  length?: number | undefined
}

/** The form of an archive that is downloaded. */
export type ArchiveFormat = NonNullable<InputOf<'downloadArchive'>['format']>

/** A link that works without a key until it expires. */
export interface FileLink extends Omit<OutputOf<'signFile'>, 'url'> {
  /** null: the server is not reached over TCP; append `path` to an address that is. */
  url: string | null
}

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
  read(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return readWhole(path, this.stream(path, options))
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

  /**
   * Writes a file; the old one stays until the new one is whole. A large source is streamed in constant memory.
   *
   * @throws SandboxError `file_denied`, `file_wrong_type`, `no_space`, `checksum_mismatch`; `connection_lost`
   */
  write(path: string, content: FileSource, options: WriteOptions = {}): Promise<OutputOf<'writeFile'>> {
    return writeFile(this.#client, { id: this.#id, path }, content, options)
  }

  /**
   * Writes many small files in one request, each as `write()` does.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * const { bytes } = await sandbox.files.writeMany({ 'src/a.txt': 'a', 'src/b.bin': Uint8Array.of(0, 1) })
   * console.log(bytes, (await sandbox.files.list('src')).length) // 3 2
   * ```
   */
  writeMany(files: FilesToCreate, options: FileOptions = {}): Promise<OutputOf<'writeFiles'>> {
    const { signal, user } = options
    const input = { id: this.#id, files: fileList(files), ...(user !== undefined && { user }) }
    return this.#client.call('writeFiles', input, { signal })
  }

  /** Digest of a file, hexadecimal, and its size; default SHA-256. */
  checksum(
    path: string,
    algorithm: InputOf<'checksumFile'>['algorithm'] = 'sha256',
    options: FileOptions = {},
  ): Promise<OutputOf<'checksumFile'>> {
    const { signal, user } = options
    return this.#client.call('checksumFile', { id: this.#id, path, algorithm, user }, { signal })
  }

  /**
   * A directory's entries, sorted by name; with `depth`, those of the directories in it as well. `attributes`: with the
   * extended attributes that are the user's.
   */
  async list(
    path = '.',
    options: FileOptions & { depth?: number | undefined; attributes?: boolean | undefined } = {},
  ): Promise<FileInfo[]> {
    const { signal, ...rest } = options
    return (await this.#client.call('listFiles', { id: this.#id, path, ...rest }, { signal })).files
  }

  /**
   * Watches a directory; changes are seen from the moment in which this resolves.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create()
   * await using watch = await sandbox.files.watch('.', { recursive: true })
   * await sandbox.files.mkdir('made')
   * for await (const { type, path } of watch) {
   *   console.log(type, path) // create made
   *   break
   * }
   * ```
   */
  watch(path = '.', options: FileOptions & { recursive?: boolean | undefined } = {}): Promise<FileWatch> {
    const { signal, ...rest } = options
    const input = { id: this.#id, path, ...rest }
    const open = async (signal: AbortSignal) =>
      (await this.#client.open('watchFiles', input, { signal })).body
    return openWatch(open, signal)
  }

  /**
   * A directory or file as an archive, in constant memory; default a tar.gz of the home.
   *
   * @example
   * ```ts
   * import { writeFile } from 'node:fs/promises'
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create({ files: { 'work/a.txt': 'a' } })
   * const archive = await sandbox.files.download('work', { format: 'zip' })
   * await writeFile('/dev/null', archive)
   * console.log(archive.skipped) // 0
   * ```
   */
  async download(
    path = '.',
    options: FileOptions & { format?: ArchiveFormat | undefined } = {},
  ): Promise<ArchiveDownload> {
    const { signal, ...rest } = options
    const input = { id: this.#id, path, ...rest }
    return new ArchiveDownload(await this.#client.open('downloadArchive', input, { signal }))
  }

  /**
   * Unpacks a tar, tar.gz or zip below a directory, which is made when it is missing; nothing of it gets out of there.
   *
   * @throws SandboxError `archive_refused`: what was unpacked before stays
   */
  upload(
    archive: Source,
    options: FileOptions & Pick<InputOf<'uploadArchive'>, 'path' | 'format'> = {},
  ): Promise<OutputOf<'uploadArchive'>> {
    const { signal, ...rest } = options
    return this.#client.upload('uploadArchive', { id: this.#id, ...rest }, bytesOf(archive), { signal })
  }

  /**
   * A link that lets whoever has it read, or write, this one file, without a key; default: read, for an hour.
   */
  async link(
    path: string,
    options: FileOptions & {
      operation?: 'read' | 'write' | undefined
      /** Milliseconds, or text such as "30m"; at most 7 days. */
      ttl?: string | number | undefined
    } = {},
  ): Promise<FileLink> {
    const { signal, operation = 'read', ...rest } = options
    const link = await this.#client.call('signFile', { id: this.#id, path, operation, ...rest }, { signal })
    const { url } = this.#client
    const here = /^https?:/.test(url) ? url.replace(/\/$/, '') + link.path : null
    return { ...link, url: link.url ?? here }
  }

  /** Describes a file; a link itself unless `follow` is true. `attributes`: with its extended attributes. */
  stat(
    path: string,
    options: FileOptions & { follow?: boolean; attributes?: boolean | undefined } = {},
  ): Promise<FileInfo> {
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

  /**
   * Sets extended attributes of a file or directory; null removes one. Names have no "user." before them. `stat()` and
   * `list()` tell them.
   *
   * @example
   * ```ts
   * import { Sandbox } from 'caisson'
   *
   * await using sandbox = await Sandbox.create({ files: { 'a.txt': 'a' } })
   * await sandbox.files.setAttributes('a.txt', { origin: 'upload' })
   * console.log((await sandbox.files.stat('a.txt', { attributes: true })).attributes) // { origin: 'upload' }
   * ```
   */
  setAttributes(
    path: string,
    attributes: Record<string, string | null>,
    options: FileOptions = {},
  ): Promise<void> {
    const { signal, user } = options
    const input = { id: this.#id, path, attributes, ...(user !== undefined && { user }) }
    return this.#client.call('setAttributes', input, { signal })
  }
}
