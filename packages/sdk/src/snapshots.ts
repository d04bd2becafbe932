import type { CreateSnapshot, Lineage, Snapshot } from '@caisson/protocol/resources'
import type { BuildOptions, BuildResult } from './build/build.ts'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { bytesOf, type Source } from './stdin.ts'

/**
 * Saved files that new sandboxes are made from. They are referred to by id, by "name:tag", by a name (its tag "latest")
 * or by a tag that only one has.
 *
 * @example
 * ```ts
 * import { Client } from 'caisson'
 *
 * const { snapshots } = new Client()
 * for (const { name, tag, sizeBytes } of await snapshots.list({ sort: 'size' })) console.log(name, tag, sizeBytes)
 * // const { snapshot, built } = await snapshots.build('./project', { tag: 'v1' })
 * // await Sandbox.create({ snapshot: 'project:v1' })
 * ```
 */
export class Snapshots {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /** A page of snapshots, newest first unless `sort` and `direction` say otherwise. */
  async list(query: InputOf<'listSnapshots'> = {}, options: CallOptions = {}): Promise<Snapshot[]> {
    return (await this.#client.call('listSnapshots', query, options)).snapshots
  }

  /** @throws SandboxError `snapshot_not_found`; `snapshot_ambiguous` for a tag that several have */
  get(snapshot: string, options: CallOptions = {}): Promise<Snapshot> {
    return this.#client.call('getSnapshot', { snapshot }, options)
  }

  /**
   * Makes one of a sandbox, by id or name, which goes on; `sandbox.snapshot()` is the same.
   *
   * @throws SandboxError `save_failed`, `not_supported`; `snapshot_unsafe` for a public one with files like secrets
   */
  create(sandbox: string, snapshot: CreateSnapshot = {}, options: CallOptions = {}): Promise<Snapshot> {
    return this.#client.call('createSnapshot', { ...snapshot, id: sandbox }, options)
  }

  /**
   * Gives it a tag, which another of the same name loses; null takes its tag away.
   *
   * @throws SandboxError `snapshot_not_found`
   */
  tag(snapshot: string, tag: string | null, options: CallOptions = {}): Promise<Snapshot> {
    return this.#client.call('tagSnapshot', { snapshot, tag }, options)
  }

  /**
   * Deletes it. Sandboxes and snapshots that were made from it stay whole.
   *
   * @throws SandboxError `snapshot_not_found`
   */
  delete(snapshot: string, options: CallOptions = {}): Promise<void> {
    return this.#client.call('deleteSnapshot', { snapshot }, options)
  }

  /** What it was made from, and what was made from it. */
  lineage(snapshot: string, options: CallOptions = {}): Promise<Lineage> {
    return this.#client.call('getLineage', { snapshot }, options)
  }

  /**
   * Downloads it as a file (tar, zstd) for another server, in constant memory. Leaving the loop ends the download.
   *
   * @throws SandboxError `snapshot_not_found`, `not_supported`; `connection_lost` for one that broke off
   */
  async *export(snapshot: string, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    yield* (await this.#client.open('exportSnapshot', { snapshot }, options)).body
  }

  /**
   * Makes a snapshot of an exported file, in constant memory; name and tag are the file's own unless they are given.
   *
   * @throws SandboxError `archive_invalid` for a file that was changed or cut; nothing is kept of it
   */
  import(
    archive: Source,
    options: CallOptions & InputOf<'importSnapshot'> & { length?: number | undefined } = {},
  ): Promise<Snapshot> {
    const { signal, length, name, tag } = options
    return this.#client.upload('importSnapshot', { name, tag }, bytesOf(archive), { signal, length })
  }

  /**
   * Builds one as `caisson-snapshot.yaml` in a directory of this machine says; one that is there already with the same
   * content is not built again. Needs Node, Bun or Deno.
   *
   * @throws SandboxError `invalid_request` for a build file with mistakes, all of which it names; as `create()`
   */
  async build(directory: string, options: BuildOptions = {}): Promise<BuildResult> {
    const { buildSnapshot } = await import('./build/build.ts')
    return buildSnapshot(directory, { ...options, client: this.#client })
  }
}
