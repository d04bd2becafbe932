import type { Checkpoint, Sandbox as SandboxInfo } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'

/**
 * Save points of one sandbox's files. Making one takes the same short time whatever the size, while the sandbox goes on.
 *
 * @example
 * ```ts
 * import { Sandbox } from 'caisson'
 *
 * await using sandbox = await Sandbox.create()
 * console.log((await sandbox.checkpoints.list()).length) // 0
 * // await sandbox.checkpoints.create('before')
 * // await sandbox.checkpoints.restore('before')
 * ```
 */
export class Checkpoints {
  readonly #client: Client
  readonly #id: string
  readonly #changed: (info: SandboxInfo) => void

  /** @param changed is given the sandbox's record after a restore */
  constructor(client: Client, id: string, changed: (info: SandboxInfo) => void = () => {}) {
    this.#client = client
    this.#id = id
    this.#changed = changed
  }

  /**
   * Saves the files as they are now; a name is unique among the sandbox's checkpoints.
   *
   * @throws SandboxError `checkpoint_exists`, `not_supported`, `save_failed`
   */
  create(name?: string, options: CallOptions = {}): Promise<Checkpoint> {
    const input = { id: this.#id, ...(name !== undefined && { name }) }
    return this.#client.call('createCheckpoint', input, options)
  }

  /** A page of checkpoints, oldest first. */
  async list(
    query: Omit<InputOf<'listCheckpoints'>, 'id'> = {},
    options: CallOptions = {},
  ): Promise<Checkpoint[]> {
    return (await this.#client.call('listCheckpoints', { ...query, id: this.#id }, options)).checkpoints
  }

  /**
   * Puts the files back to a checkpoint, by id or name. What runs in the sandbox ends; a sandbox that ran runs again
   * afterwards, one that was paused stays paused.
   *
   * @throws SandboxError `checkpoint_not_found`, `resume_failed`
   */
  async restore(checkpoint: string, options: CallOptions = {}): Promise<SandboxInfo> {
    const info = await this.#client.call('restoreCheckpoint', { id: this.#id, checkpoint }, options)
    this.#changed(info)
    return info
  }

  /** @throws SandboxError `checkpoint_not_found` */
  delete(checkpoint: string, options: CallOptions = {}): Promise<void> {
    return this.#client.call('deleteCheckpoint', { id: this.#id, checkpoint }, options)
  }
}
