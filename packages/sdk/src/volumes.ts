import type { CreateVolume, Volume } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { VolumeFiles } from './volume-files.ts'

/**
 * Volumes: files that outlive sandboxes, and that several may have mounted at once. They are referred to by id or name.
 *
 * @example
 * ```ts
 * import { Client, Sandbox } from 'caisson'
 *
 * const { volumes } = new Client()
 * const { name } = await volumes.create({ name: 'datasets' })
 * await volumes.files(name).write('/words.txt', 'one two')
 * const sandbox = await Sandbox.create({ volumes: [{ volume: name, path: '/data' }] })
 * console.log((await sandbox.exec(['cat', '/data/words.txt'])).stdout) // one two
 * await sandbox.delete()
 * await volumes.delete(name)
 * ```
 */
export class Volumes {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /**
   * Creates a volume; `size` is what it may hold, by default what the pool has room for.
   *
   * @throws SandboxError `volume_exists`, `not_supported`
   */
  create(volume: CreateVolume, options: CallOptions = {}): Promise<Volume> {
    return this.#client.call('createVolume', volume, options)
  }

  /** A page of volumes, newest first unless `sort` and `direction` say otherwise. */
  async list(query: InputOf<'listVolumes'> = {}, options: CallOptions = {}): Promise<Volume[]> {
    return (await this.#client.call('listVolumes', query, options)).volumes
  }

  /** @throws SandboxError `volume_not_found` */
  get(volume: string, options: CallOptions = {}): Promise<Volume> {
    return this.#client.call('getVolume', { volume }, options)
  }

  /**
   * Deletes a volume and everything in it.
   *
   * @throws SandboxError `volume_not_found`; `volume_in_use` while a sandbox has it
   */
  delete(volume: string, options: CallOptions = {}): Promise<void> {
    return this.#client.call('deleteVolume', { volume }, options)
  }

  /** What is in a volume; for this no sandbox is needed. */
  files(volume: string): VolumeFiles {
    return new VolumeFiles(this.#client, volume)
  }
}
