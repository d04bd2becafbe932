import { relative } from 'node:path'
import type { RootPlan } from '../../core/plan.ts'
import type { Layers, Saves, StorageUsage, Volumes, WantedRoot } from '../layers.ts'
import { lowersOf, refuseUnable, refuseUnableVolume, rootDirectory } from '../roots.ts'

/** What a pool is now, in bytes. */
export interface PoolFacts {
  kind: 'file' | 'filesystem'
  sizeBytes: number
  usedBytes: number
  maxBytes: number
  /** Limits are enforced. */
  quotas: boolean
}

/** Works on the pool, whose files only the launcher sees. Ids as everywhere; what fails leaves nothing. */
export interface PoolHand {
  /** Opens the pool, makes it first when it is not there; of an open one, tells the facts and sets what it may grow to. */
  open(maxBytes: number, signal?: AbortSignal): Promise<PoolFacts>
  makeRoot(id: string, wanted: { from: string | null; diskBytes: number | null }): Promise<void>
  replaceRoot(id: string, save: string, diskBytes: number | null): Promise<void>
  removeRoot(id: string, signal?: AbortSignal): Promise<void>
  keepOnly(id: string, directory: string, opaque: boolean, signal?: AbortSignal): Promise<void>
  save(id: string, save: string): Promise<void>
  removeSave(save: string, signal?: AbortSignal): Promise<void>
  measure(save: string, signal?: AbortSignal): Promise<{ bytes: number; files: number }>
  /** What there is, with the bytes that each holds for itself. */
  list(signal?: AbortSignal): Promise<PoolNames>
  makeVolume(volume: string, limitBytes: number | null): Promise<void>
  removeVolume(volume: string, signal?: AbortSignal): Promise<void>
}

/** Bytes by id. */
type PoolNames = Record<'roots' | 'saves' | 'volumes', Map<string, number>>

/**
 * Roots and saves as subvolumes of a btrfs pool: a save, and a root that begins as one, take the same time whatever
 * is in them. What an abort interrupts here takes milliseconds and is finished, so that nothing appears later.
 */
export class BtrfsLayers implements Layers {
  readonly name = 'btrfs'
  readonly saves: Saves
  readonly volumes: Volumes
  readonly #hand: PoolHand
  readonly #maxBytes: number
  readonly #before: Layers
  /** Roots that lie outside the pool. */
  #older = new Set<string>()
  #facts: PoolFacts | null = null

  /**
   * @param options.maxBytes what the pool may grow to
   * @param options.before has the roots from when there was no pool, which are only listed and removed
   */
  constructor(options: { hand: PoolHand; maxBytes: number; before: Layers }) {
    this.#hand = options.hand
    this.#maxBytes = options.maxBytes
    this.#before = options.before
    this.saves = savesOf(options.hand)
    this.volumes = this.#volumesOf(options.hand)
  }

  get quota(): boolean {
    return this.#facts?.quotas ?? false
  }

  get maxDiskBytes(): number | undefined {
    return this.#facts?.maxBytes
  }

  async open(signal?: AbortSignal): Promise<void> {
    this.#facts = await this.#hand.open(this.#maxBytes, signal)
    await this.#before.open(signal)
    this.#older = new Set(await this.#before.list(signal))
  }

  async prepare(id: string, wanted: WantedRoot, signal?: AbortSignal): Promise<RootPlan> {
    refuseUnable(this, wanted)
    const plan = this.plan(id, wanted)
    signal?.throwIfAborted()
    await this.#hand.makeRoot(id, wanted)
    return plan
  }

  plan(id: string, on: Pick<WantedRoot, 'image' | 'layers'>): RootPlan {
    rootDirectory(id)
    return { kind: 'pool', lowers: lowersOf(on) }
  }

  async remove(id: string, signal?: AbortSignal): Promise<void> {
    await this.#hand.removeRoot(id, signal)
    if (!this.#older.has(id)) return
    await this.#before.remove(id, signal)
    this.#older.delete(id)
  }

  async list(signal?: AbortSignal): Promise<string[]> {
    return [...this.#older, ...(await this.#hand.list(signal)).roots.keys()]
  }

  keepOnly(id: string, directory: string, opaque: boolean, signal?: AbortSignal): Promise<void> {
    return this.#hand.keepOnly(id, relative('/', directory), opaque, signal)
  }

  async usage(signal?: AbortSignal): Promise<StorageUsage> {
    const { quotas: _, ...pool } = await this.#hand.open(this.#maxBytes, signal)
    const { roots, saves } = await this.#hand.list(signal)
    return { pool, roots, saves }
  }

  #volumesOf(hand: PoolHand): Volumes {
    return {
      create: async (volume, limitBytes, signal) => {
        refuseUnableVolume(this, volume, limitBytes)
        signal?.throwIfAborted()
        await hand.makeVolume(volume, limitBytes)
      },
      remove: (volume, signal) => hand.removeVolume(volume, signal),
      list: async (signal) => (await hand.list(signal)).volumes,
    }
  }
}

function savesOf(hand: PoolHand): Saves {
  return {
    save: async (id, save, signal) => {
      signal?.throwIfAborted()
      await hand.save(id, save)
    },
    replace: async (id, save, diskBytes, signal) => {
      signal?.throwIfAborted()
      await hand.replaceRoot(id, save, diskBytes)
    },
    remove: (save, signal) => hand.removeSave(save, signal),
    list: async (signal) => [...(await hand.list(signal)).saves.keys()],
    measure: (save, signal) => hand.measure(save, signal),
  }
}
