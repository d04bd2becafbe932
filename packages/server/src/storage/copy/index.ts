import { execFile } from 'node:child_process'
import { chmod, mkdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { RootPlan } from '../../core/plan.ts'
import type { Image, Layers, TreeHand, WantedRoot } from '../layers.ts'
import { listRoots, openRoots, refuseUnable, rootDirectory } from '../roots.ts'

const run = promisify(execFile)

/**
 * Roots as whole copies of the image, for hosts or drivers without overlay. Where the file system can share blocks
 * (XFS, btrfs) a copy takes half a second and little space; elsewhere seconds, and the image's full size.
 */
export class CopyLayers implements Layers {
  readonly name = 'copy'
  readonly quota = false
  readonly #data: string
  readonly #images: string
  readonly #hand: TreeHand

  constructor(options: { dataDir: string; imagesDir: string; hand: TreeHand }) {
    this.#data = options.dataDir
    this.#images = options.imagesDir
    this.#hand = options.hand
  }

  async open(): Promise<void> {
    await openRoots(this.#data)
  }

  async prepare(id: string, wanted: WantedRoot, signal?: AbortSignal): Promise<RootPlan> {
    refuseUnable(this, wanted)
    const directory = rootDirectory(id)
    const { path } = this.plan(id)
    try {
      await this.#hand.makeSandboxDirs(id, signal)
      await mkdir(join(this.#data, path))
      // Becomes the sandbox's "/": its mode must not depend on the server's umask.
      await chmod(join(this.#data, path), 0o755)
      if (wanted.image) await this.#copy(wanted.image, path, signal)
    } catch (error) {
      // The caller's signal may be why we are here: what was begun is removed all the same.
      await this.#hand.removeTree(directory)
      throw error
    }
    return { kind: 'directory', path }
  }

  plan(id: string): Extract<RootPlan, { kind: 'directory' }> {
    return { kind: 'directory', path: `${rootDirectory(id)}/rootfs` }
  }

  async remove(id: string, signal?: AbortSignal): Promise<void> {
    await this.#hand.removeTree(rootDirectory(id), signal)
  }

  list(): Promise<string[]> {
    return listRoots(this.#data)
  }

  async #copy(image: Image, path: string, signal?: AbortSignal): Promise<void> {
    const [from, to] = [join(this.#images, relative('images', image.rootfs)), join(this.#data, path)]
    await run(
      'cp',
      ['--archive', '--reflink=auto', '--one-file-system', `${from}/.`, to],
      signal ? { signal } : {},
    )
  }
}
