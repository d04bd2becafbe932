import type { FileInfo } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import { readWhole } from './read-whole.ts'
import { bytesOf, type Source } from './stdin.ts'

/** Which part of a file of a volume is read. */
export interface VolumeReadOptions extends CallOptions {
  /** First byte; default 0. */
  offset?: number | undefined
  /** Bytes to read; default: to the end. */
  length?: number | undefined
}

/** Mode and owner, by number, of what is made or changed. */
export interface VolumeOwner {
  /** Permission bits, such as 0o644. */
  mode?: number | undefined
  uid?: number | undefined
  gid?: number | undefined
}

/** Files of a volume; paths begin at its own root, "/". */
export class VolumeFiles {
  readonly #client: Client
  readonly #volume: string

  constructor(client: Client, volume: string) {
    this.#client = client
    this.#volume = volume
  }

  /** A directory's entries, sorted by name; with `depth`, those of the directories in it as well. */
  async list(path = '/', options: CallOptions & { depth?: number | undefined } = {}): Promise<FileInfo[]> {
    const { depth, ...rest } = options
    return (await this.#client.call('listVolumeFiles', { volume: this.#volume, path, depth }, rest)).files
  }

  /**
   * Describes a file; a link itself.
   *
   * @throws SandboxError `file_not_found`
   */
  stat(path: string, options: CallOptions = {}): Promise<FileInfo> {
    return this.#client.call('statVolumeFile', { volume: this.#volume, path }, options)
  }

  /**
   * Reads a file into memory.
   *
   * @throws SandboxError `file_not_found`, `file_wrong_type`; `payload_too_large` beyond 1 GiB
   */
  read(path: string, options: VolumeReadOptions = {}): Promise<Uint8Array> {
    return readWhole(path, this.stream(path, options))
  }

  /** Reads a file as UTF-8. */
  async readText(path: string, options: VolumeReadOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options))
  }

  /** Reads a file piece by piece, in constant memory. */
  async *stream(path: string, options: VolumeReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { offset, length, ...rest } = options
    yield* (await this.#client.open('readVolumeFile', { volume: this.#volume, path, offset, length }, rest))
      .body
  }

  /**
   * Writes a file, with the directories that it needs unless `parents` is false; the old one stays until the new one is
   * whole. `exclusive`: it must not be there yet. `length`: bytes of a stream, where they are known.
   *
   * @throws SandboxError `no_space`, `file_wrong_type`, `file_exists`
   */
  write(
    path: string,
    content: Source,
    options: CallOptions &
      VolumeOwner & {
        exclusive?: boolean | undefined
        parents?: boolean | undefined
        length?: number | undefined
      } = {},
  ): Promise<FileInfo> {
    const { signal, length, ...rest } = options
    const body = typeof content === 'string' || content instanceof Uint8Array ? content : bytesOf(content)
    return this.#client.upload('writeVolumeFile', { volume: this.#volume, path, ...rest }, body, {
      signal,
      length: content instanceof Blob ? content.size : length,
    })
  }

  /** Makes a directory, with its parents unless told otherwise. */
  mkdir(
    path: string,
    options: CallOptions & VolumeOwner & { parents?: boolean | undefined } = {},
  ): Promise<FileInfo> {
    const { signal, ...rest } = options
    const input = { volume: this.#volume, path, ...defined(rest) }
    return this.#client.call('makeVolumeDirectory', input, { signal })
  }

  /** Changes permission bits or owner. */
  change(path: string, change: VolumeOwner, options: CallOptions = {}): Promise<FileInfo> {
    return this.#client.call('changeVolumeFile', { volume: this.#volume, path, ...defined(change) }, options)
  }

  /**
   * Removes a file, or a directory with all in it when `recursive` is true. Links are not followed.
   *
   * @throws SandboxError `file_not_found`, `directory_not_empty`
   */
  remove(path: string, options: CallOptions & { recursive?: boolean | undefined } = {}): Promise<void> {
    const { recursive, ...rest } = options
    return this.#client.call('removeVolumeFile', { volume: this.#volume, path, recursive }, rest)
  }
}

/** A JSON body says only what is meant. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
