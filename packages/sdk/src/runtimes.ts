import type { Runtime } from '@caisson/protocol/resources'
import { readBuild } from './build-progress.ts'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { bytesOf, type Source } from './stdin.ts'

/** Called with each step of a build, a line of text. */
export type OnStep = (step: string) => void

/**
 * What sandboxes can be made of.
 *
 * @example
 * ```ts
 * import { Client } from 'caisson'
 *
 * const { runtimes } = new Client()
 * for (const { id, built } of await runtimes.list()) console.log(id, built) // base:latest true
 * // await runtimes.build('python:3.13', { onStep: console.log })
 * ```
 */
export class Runtimes {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /** A page of runtimes, by name unless `sort` says otherwise. */
  async list(query: InputOf<'listRuntimes'> = {}, options: CallOptions = {}): Promise<Runtime[]> {
    return (await this.#client.call('listRuntimes', query, options)).runtimes
  }

  /**
   * By "name:tag", or a name for its tag "latest".
   *
   * @throws SandboxError `runtime_not_found`
   */
  get(runtime: string, options: CallOptions = {}): Promise<Runtime> {
    return this.#client.call('getRuntime', { runtime }, options)
  }

  /**
   * Builds a runtime ahead of its first use; one that is built stays as it is unless `force` is true.
   *
   * @throws SandboxError `runtime_not_found`; `build_failed` with the end of the log
   */
  async build(
    runtime: string,
    options: CallOptions & { force?: boolean | undefined; onStep?: OnStep | undefined } = {},
  ): Promise<Runtime> {
    const { signal, force, onStep } = options
    return readBuild((await this.#client.open('buildRuntime', { runtime, force }, { signal })).body, onStep)
  }

  /**
   * Makes a runtime of an OCI image: of an archive's bytes, or of an image in a registry.
   *
   * @param name what the runtime is called, "name:tag"
   * @param image an archive, or `{ reference: 'docker.io/library/alpine:3' }`
   * @throws SandboxError `image_invalid`, `runtime_exists`, `not_supported`
   */
  async import(
    name: string,
    image: Source | { reference: string; insecure?: boolean | undefined },
    options: CallOptions & { onStep?: OnStep | undefined; length?: number | undefined } = {},
  ): Promise<Runtime> {
    const { signal, onStep, length } = options
    const asked = isRegistry(image)
      ? { input: { name, ...image }, upload: new Uint8Array() }
      : { input: { name }, upload: bytesOf(image) }
    const answer = await this.#client.open('importRuntime', asked.input, {
      upload: asked.upload,
      length,
      signal,
    })
    return readBuild(answer.body, onStep)
  }

  /**
   * Deletes an imported runtime; what was made from it stays whole.
   *
   * @throws SandboxError `runtime_not_found`; `not_supported` for one that comes with Caisson
   */
  delete(runtime: string, options: CallOptions = {}): Promise<void> {
    return this.#client.call('deleteRuntime', { runtime }, options)
  }
}

const isRegistry = (image: object | string): image is { reference: string; insecure?: boolean | undefined } =>
  typeof image === 'object' && 'reference' in image
