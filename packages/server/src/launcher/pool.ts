import { constants } from 'node:os'
import { fields } from '@caisson/protocol/frame-codec'
import { type Answer, LauncherError } from './connection.ts'
import {
  decodeContents,
  decodeMeasure,
  decodePool,
  encodePool,
  encodeRoot,
  encodeVolume,
  type NewRoot,
  type PoolContents,
  type PoolState,
} from './pool-codec.ts'
import { Message, Tag } from './protocol.ts'

export type Request = (type: number, payload: Uint8Array | undefined, signal?: AbortSignal) => Promise<Answer>

/** The storage pool, by messages to the launcher. */
export class LauncherPool {
  readonly #request: Request
  /** What the pool may grow to, as it was told last; null: this client has not opened one. */
  #maxBytes: number | null = null

  constructor(request: Request) {
    this.#request = request
  }

  /** Opens the pool, and makes it when it is not there. Of an open pool, tells what it is now and sets what it may grow to. */
  async open(maxBytes: number, signal?: AbortSignal): Promise<PoolState> {
    const { ok } = await this.#request(Message.POOL, encodePool(maxBytes), signal)
    this.#maxBytes = maxBytes
    return decodePool(ok)
  }

  /** Whole or not at all. */
  async makeRoot(id: string, wanted: NewRoot): Promise<void> {
    await this.#send(Message.MAKE_ROOT, encodeRoot(id, wanted))
  }

  /** Of a sandbox that does not run; safe to repeat. */
  async replaceRoot(id: string, save: string, diskBytes: number | null): Promise<void> {
    await this.#send(Message.REPLACE_ROOT, encodeRoot(id, { from: save, diskBytes }))
  }

  /** Nothing to do when absent. */
  async removeRoot(id: string, signal?: AbortSignal): Promise<void> {
    await this.#send(Message.REMOVE_FROM_POOL, fields().string(Tag.ID, id).encode(), signal)
  }

  /** Leaves of what a sandbox that does not run has written only this directory, which is relative to its root; `opaque`: nothing beneath shows in it. */
  async keepOnly(id: string, directory: string, opaque: boolean, signal?: AbortSignal): Promise<void> {
    const payload = fields().string(Tag.ID, id).string(Tag.PATH, directory)
    if (opaque) payload.u64(Tag.OPAQUE, 1)
    await this.#send(Message.KEEP_ONLY, payload.encode(), signal)
  }

  /** Keeps what a root is now, which may run. */
  async save(id: string, save: string): Promise<void> {
    await this.#send(Message.SAVE, fields().string(Tag.ID, id).string(Tag.SAVE, save).encode())
  }

  /** Nothing to do when absent. */
  async removeSave(save: string, signal?: AbortSignal): Promise<void> {
    await this.#send(Message.REMOVE_FROM_POOL, fields().string(Tag.SAVE, save).encode(), signal)
  }

  /** An empty directory that sandboxes can have mounted; whole or not at all. @param limitBytes null: no limit */
  async makeVolume(volume: string, limitBytes: number | null): Promise<void> {
    await this.#send(Message.MAKE_VOLUME, encodeVolume(volume, limitBytes))
  }

  /** Nothing to do when absent; refused while a sandbox has it mounted. */
  async removeVolume(volume: string, signal?: AbortSignal): Promise<void> {
    await this.#send(Message.REMOVE_FROM_POOL, fields().string(Tag.VOLUME, volume).encode(), signal)
  }

  /** Counts a save's own files. */
  async measure(save: string, signal?: AbortSignal): Promise<{ bytes: number; files: number }> {
    const { ok } = await this.#send(Message.MEASURE, fields().string(Tag.SAVE, save).encode(), signal)
    return decodeMeasure(ok)
  }

  async list(signal?: AbortSignal): Promise<PoolContents> {
    return decodeContents((await this.#send(Message.LIST_POOL, undefined, signal)).items)
  }

  /** Does what needs the pool; a launcher that has replaced another has not opened it yet. */
  async whileOpen<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const isClosed = error instanceof LauncherError && error.errno === constants.errno.ENOTCONN
      if (!isClosed || this.#maxBytes === null) throw error
      await this.open(this.#maxBytes, signal)
      return await work()
    }
  }

  #send(type: number, payload: Uint8Array | undefined, signal?: AbortSignal): Promise<Answer> {
    return this.whileOpen(() => this.#request(type, payload, signal), signal)
  }
}
