import type { RootPlan } from '../../core/plan.ts'
import type { Image, Layers } from '../layers.ts'
import { rootDirectory } from '../roots.ts'

/** Roots that are only remembered, for a driver that runs nothing; a test can look at what was prepared. */
export class MemoryLayers implements Layers {
  readonly name = 'memory'
  readonly roots = new Map<string, RootPlan>()

  async open(): Promise<void> {}

  async prepare(id: string, image: Image | null, signal?: AbortSignal): Promise<RootPlan> {
    signal?.throwIfAborted()
    const directory = rootDirectory(id)
    const root: RootPlan = image
      ? { kind: 'overlay', lowers: [image.rootfs], upper: `${directory}/upper`, work: `${directory}/work` }
      : { kind: 'directory', path: `${directory}/upper` }
    this.roots.set(id, root)
    return root
  }

  async remove(id: string): Promise<void> {
    this.roots.delete(id)
  }

  async list(): Promise<string[]> {
    return [...this.roots.keys()]
  }
}
