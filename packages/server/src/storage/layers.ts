import type { RootPlan } from '../core/plan.ts'

/**
 * Storage is WHAT a sandbox is made of. An *image* is an immutable directory shared by all; a *root* is one
 * sandbox's own file system on top of it. Storage prepares and removes roots on disk and answers with a plan;
 * mounting is the runtime's work.
 *
 * Life of a root: `prepare` → (the sandbox runs) → `remove`. `prepare` either leaves a whole root or nothing.
 * `remove` is idempotent and only called when nothing runs on the root. `list` names every root on disk, so
 * that a start after a crash can remove those that no record knows.
 */
export interface Layers {
  readonly name: string
  /** Bytes of disk quota are enforced; absent means a disk limit is refused. */
  readonly quota?: { set(id: string, bytes: number, signal?: AbortSignal): Promise<void> }

  open(signal?: AbortSignal): Promise<void>
  /** @param image null for a driver that has no images: an empty directory. */
  prepare(id: string, image: Image | null, signal?: AbortSignal): Promise<RootPlan>
  remove(id: string, signal?: AbortSignal): Promise<void>
  list(signal?: AbortSignal): Promise<string[]>
}

/** A built image. `rootfs` is relative to the data directory. */
export interface Image {
  runtime: string
  digest: string
  rootfs: string
}

/** Makes and removes trees that guests have written. The launcher has an implementation that never follows a link. */
export interface TreeHand {
  /** Creates `sandboxes/<id>/` with an empty upper and work directory owned by container root. */
  makeSandboxDirs(id: string, signal?: AbortSignal): Promise<void>
  /** Removes a tree beneath the data directory, in constant time for the caller (moved to trash first). Nothing to do when absent. */
  removeTree(path: string, signal?: AbortSignal): Promise<void>
}
