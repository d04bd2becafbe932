import type { MemoryHand } from './driver.ts'

/** What a driver does for memory, and how long each may take. */
export type MemoryStep = 'freeze' | 'thaw' | 'dump' | 'dumps'

/** Runs a step within its deadline, after the steps before it of the same sandbox; null: of none. */
export type RunMemoryStep = <T>(
  step: MemoryStep,
  id: string | null,
  work: (limit: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>

/** The memory of a managed driver: every step through `run`. What ends after its caller was told that it failed is taken back. */
export class ManagedMemory implements MemoryHand {
  readonly noDumps: string | null
  readonly #hand: MemoryHand
  readonly #run: RunMemoryStep

  constructor(hand: MemoryHand, run: RunMemoryStep) {
    this.noDumps = hand.noDumps
    this.#hand = hand
    this.#run = run
  }

  freeze(id: string, signal?: AbortSignal): Promise<void> {
    const freeze = async (limit: AbortSignal) => {
      await this.#hand.freeze(id, limit)
      if (!limit.aborted) return
      await this.#hand.thaw(id)
      throw limit.reason
    }
    return this.#run('freeze', id, freeze, signal)
  }

  thaw(id: string, signal?: AbortSignal): Promise<void> {
    return this.#run('thaw', id, (limit) => this.#hand.thaw(id, limit), signal)
  }

  /** A dump that ended its sandbox is kept whoever waits: it is all that there is of its processes. */
  dump(
    id: string,
    dump: string,
    end: boolean,
    save: string | null = null,
    signal?: AbortSignal,
  ): Promise<{ bytes: number; saved: boolean }> {
    const write = async (limit: AbortSignal) => {
      const written = await this.#hand.dump(id, dump, end, save, limit)
      if (!limit.aborted || end) return written
      await this.#hand.removeDump(dump)
      throw limit.reason
    }
    return this.#run('dump', id, write, signal)
  }

  removeDump(dump: string, signal?: AbortSignal): Promise<void> {
    return this.#run('dumps', null, (limit) => this.#hand.removeDump(dump, limit), signal)
  }

  listDumps(signal?: AbortSignal): Promise<string[]> {
    return this.#run('dumps', null, (limit) => this.#hand.listDumps(limit), signal)
  }
}
