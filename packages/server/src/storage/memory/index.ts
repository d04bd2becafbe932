import type { RootPlan } from '../../core/plan.ts'
import type { Layers, Saves, StorageUsage, Volumes, WantedRoot } from '../layers.ts'
import { lowersOf, refuseUnable, refuseUnableVolume, rootDirectory } from '../roots.ts'

/** What is remembered of a root. */
export interface MemoryRoot extends WantedRoot {
  /** All that was kept of it when the rest went; null: it is whole. */
  keptOnly: string | null
}

/** Roots and saves that are only remembered, for a driver that runs nothing; a test can look at what was prepared. */
export class MemoryLayers implements Layers {
  readonly name = 'memory'
  readonly quota = false
  readonly roots = new Map<string, MemoryRoot>()
  /** Saves, with the root that each was made of as it was then. */
  readonly saved = new Map<string, MemoryRoot>()
  readonly saves: Saves = {
    save: async (id, save) => {
      if (this.saved.has(save)) throw new Error(`the save ${save} exists already`)
      rootDirectory(save)
      this.saved.set(save, { ...this.#root(id) })
    },
    replace: async (id, save, diskBytes) => {
      const { keptOnly } = this.#save(save)
      this.roots.set(id, { ...this.#root(id), from: save, diskBytes, keptOnly })
    },
    remove: async (save) => void this.saved.delete(save),
    list: async () => [...this.saved.keys()],
    measure: async (save) => {
      this.#save(save)
      return { bytes: 0, files: 0 }
    },
  }
  readonly #volumes = new Set<string>()
  readonly volumes: Volumes = {
    create: async (volume, limitBytes, signal) => {
      signal?.throwIfAborted()
      refuseUnableVolume(this, volume, limitBytes)
      if (this.#volumes.has(volume)) throw new Error(`the volume ${volume} exists already`)
      this.#volumes.add(volume)
    },
    remove: async (volume) => void this.#volumes.delete(volume),
    list: async () => new Map([...this.#volumes].map((volume) => [volume, 0])),
  }

  async open(): Promise<void> {}

  async prepare(id: string, wanted: WantedRoot, signal?: AbortSignal): Promise<RootPlan> {
    signal?.throwIfAborted()
    refuseUnable(this, wanted)
    const plan = this.plan(id, wanted)
    if (this.roots.has(id)) throw new Error(`the root ${id} exists already`)
    if (wanted.from !== null) this.#save(wanted.from)
    this.roots.set(id, { ...wanted, keptOnly: null })
    return plan
  }

  plan(id: string, on: Pick<WantedRoot, 'image' | 'layers'>): RootPlan {
    const directory = rootDirectory(id)
    const lowers = lowersOf(on)
    if (lowers.length === 0) return { kind: 'directory', path: `${directory}/upper` }
    return { kind: 'overlay', lowers, upper: `${directory}/upper`, work: `${directory}/work` }
  }

  async remove(id: string): Promise<void> {
    this.roots.delete(id)
  }

  async list(): Promise<string[]> {
    return [...this.roots.keys()]
  }

  async keepOnly(id: string, directory: string): Promise<void> {
    this.#root(id).keptOnly = directory
  }

  async usage(): Promise<StorageUsage> {
    const nothing = (ids: Iterable<string>) => new Map([...ids].map((id) => [id, 0]))
    return { pool: null, roots: nothing(this.roots.keys()), saves: nothing(this.saved.keys()) }
  }

  #root(id: string): MemoryRoot {
    const root = this.roots.get(id)
    if (root === undefined) throw new Error(`there is no root ${id}`)
    return root
  }

  #save(save: string): MemoryRoot {
    const saved = this.saved.get(save)
    if (saved === undefined) throw new Error(`there is no save ${save}`)
    return saved
  }
}
