import type { RootPlan } from '../../core/plan.ts'
import type { Image, Layers, TreeHand } from '../layers.ts'
import { listRoots, openRoots, rootDirectory } from '../roots.ts'

/**
 * Roots as an overlay: the image is shared and never written, a sandbox's own writes go to its `upper`. Making one
 * costs two empty directories, whatever the size of the image. No quota: the data directory's file system is shared.
 */
export class OverlayLayers implements Layers {
  readonly name = 'overlay'
  readonly #data: string
  readonly #hand: TreeHand

  constructor(options: { dataDir: string; hand: TreeHand }) {
    this.#data = options.dataDir
    this.#hand = options.hand
  }

  async open(): Promise<void> {
    await openRoots(this.#data)
  }

  async prepare(id: string, image: Image | null, signal?: AbortSignal): Promise<RootPlan> {
    const directory = rootDirectory(id)
    const upper = `${directory}/upper`
    await this.#hand.makeSandboxDirs(id, signal)
    if (!image) return { kind: 'directory', path: upper }
    return { kind: 'overlay', lowers: [image.rootfs], upper, work: `${directory}/work` }
  }

  async remove(id: string, signal?: AbortSignal): Promise<void> {
    await this.#hand.removeTree(rootDirectory(id), signal)
  }

  list(): Promise<string[]> {
    return listRoots(this.#data)
  }
}
