import { relative } from 'node:path'
import type { RootPlan } from '../../core/plan.ts'
import type { Layers, TreeHand, WantedRoot } from '../layers.ts'
import { listRoots, lowersOf, openRoots, refuseUnable, rootDirectory } from '../roots.ts'

/**
 * Roots as an overlay: the image is shared and never written, a sandbox's own writes go to its `upper`. Making one
 * costs two empty directories, whatever the size of the image. No quota: the data directory's file system is shared.
 */
export class OverlayLayers implements Layers {
  readonly name = 'overlay'
  readonly quota = false
  readonly keepOnly?: NonNullable<Layers['keepOnly']>
  readonly #data: string
  readonly #hand: TreeHand

  constructor(options: { dataDir: string; hand: TreeHand }) {
    this.#data = options.dataDir
    this.#hand = options.hand
    const { hand } = options
    if (hand.keepOnly !== undefined)
      this.keepOnly = async (id, directory, opaque, signal) =>
        hand.keepOnly?.(id, relative('/', directory), opaque, signal)
  }

  async open(): Promise<void> {
    await openRoots(this.#data)
  }

  async prepare(id: string, wanted: WantedRoot, signal?: AbortSignal): Promise<RootPlan> {
    refuseUnable(this, wanted)
    const plan = this.plan(id, wanted)
    await this.#hand.makeSandboxDirs(id, signal)
    return plan
  }

  plan(id: string, on: Pick<WantedRoot, 'image' | 'layers'>): RootPlan {
    const directory = rootDirectory(id)
    const upper = `${directory}/upper`
    if (on.image === null) return { kind: 'directory', path: upper }
    return { kind: 'overlay', lowers: lowersOf(on), upper, work: `${directory}/work` }
  }

  async remove(id: string, signal?: AbortSignal): Promise<void> {
    await this.#hand.removeTree(rootDirectory(id), signal)
  }

  list(): Promise<string[]> {
    return listRoots(this.#data)
  }
}
