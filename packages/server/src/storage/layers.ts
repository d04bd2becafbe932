import type { RootPlan } from '../core/plan.ts'

/**
 * Storage is WHAT a sandbox is made of. An *image* is an immutable directory shared by all; a *root* is one
 * sandbox's own file system on top of it; a *save* is an immutable copy of what a root has of its own. Storage
 * prepares and removes roots on disk and answers with a plan; mounting is the runtime's work.
 *
 * Life of a root: `prepare` → (the sandbox runs, is paused, runs again by `plan`) → `remove`. `prepare` either leaves a
 * whole root or nothing. `remove` is idempotent and only called when nothing runs on the root. `list` names every
 * root on disk, so that a start after a crash can remove those that no record knows.
 *
 * An optional member is a capability: absent means that this storage cannot do it.
 */
export interface Layers {
  readonly name: string
  /** Whether a limit of bytes is enforced; known once it is open. Where it is not, a disk limit is refused. */
  readonly quota: boolean
  /** The largest limit that has a meaning, in bytes; known once it is open. Only with `quota`. */
  readonly maxDiskBytes?: number | undefined
  readonly saves?: Saves
  /** Files of their own, which several sandboxes may have mounted at once. */
  readonly volumes?: Volumes

  open(signal?: AbortSignal): Promise<void>
  prepare(id: string, wanted: WantedRoot, signal?: AbortSignal): Promise<RootPlan>
  /** The plan of a root that is there. */
  plan(id: string, on: Pick<WantedRoot, 'image' | 'layers'>): RootPlan
  remove(id: string, signal?: AbortSignal): Promise<void>
  list(signal?: AbortSignal): Promise<string[]>
  /**
   * Removes from a root, while nothing runs on it, everything that the sandbox wrote outside one directory. Absolute
   * path as the sandbox sees it; links on the way are not followed and count as absent. Safe to repeat.
   * @param opaque from now on nothing that lies beneath shows in the directory: the root began as a copy, and what the
   *   sandbox removed of that must not come back when the save becomes a layer
   */
  keepOnly?(id: string, directory: string, opaque: boolean, signal?: AbortSignal): Promise<void>
  /** Bytes that each root holds for itself, and the whole; may be some seconds late. */
  usage?(signal?: AbortSignal): Promise<StorageUsage>
}

export interface WantedRoot {
  /** null for a driver that has no images, and for what is unpacked: an empty directory. */
  image: Image | null
  /** Saves between the image and the root, topmost first. */
  layers: string[]
  /** The root begins as a copy of this save; null: empty. */
  from: string | null
  /** null: no limit. Only with `quota`. */
  diskBytes: number | null
}

/** Copies in constant time. Names are ids, `sav_…`. */
export interface Saves {
  /** Keeps what a root is now. It may run: everything written before the call is in it, nothing is half. @throws when the save exists or the root does not. */
  save(id: string, save: string, signal?: AbortSignal): Promise<void>
  /** Puts a root back to a save, while nothing runs on it. Safe to repeat: it ends with the save's content. */
  replace(id: string, save: string, diskBytes: number | null, signal?: AbortSignal): Promise<void>
  /** Idempotent. Roots that began as this save stay whole; who uses it as a layer must have ended. */
  remove(save: string, signal?: AbortSignal): Promise<void>
  list(signal?: AbortSignal): Promise<string[]>
  /** Counts a save's own files: regular files' bytes, and how many entries there are. Takes as long as there are files. */
  measure(save: string, signal?: AbortSignal): Promise<{ bytes: number; files: number }>
}

/** Names are ids, `vol_…`. */
export interface Volumes {
  /** Whole or not at all: an empty directory with mode 0777, so that whoever has it may use it. @throws when it exists; a limit only with `quota` */
  create(volume: string, limitBytes: number | null, signal?: AbortSignal): Promise<void>
  /** Idempotent; only when no sandbox has it. */
  remove(volume: string, signal?: AbortSignal): Promise<void>
  /** Bytes that each holds; may be some seconds late. */
  list(signal?: AbortSignal): Promise<Map<string, number>>
}

export interface StorageUsage {
  pool: { kind: 'file' | 'filesystem'; sizeBytes: number; usedBytes: number; maxBytes: number } | null
  roots: Map<string, number>
  saves: Map<string, number>
}

/** A built image. `rootfs` is relative to the data directory: below `images/`, or `saves/<save>` for one that was imported. */
export interface Image {
  runtime: string
  digest: string
  rootfs: string
  /** Saves that belong to the image, above `rootfs`, topmost first. */
  layers: string[]
}

/** Makes and removes trees that guests have written. The launcher has an implementation that never follows a link. */
export interface TreeHand {
  /** Creates `sandboxes/<id>/` with an empty upper and work directory owned by container root. */
  makeSandboxDirs(id: string, signal?: AbortSignal): Promise<void>
  /** Removes a tree beneath the data directory, in constant time for the caller (moved to trash first). Nothing to do when absent. */
  removeTree(path: string, signal?: AbortSignal): Promise<void>
  /** See `Layers.keepOnly`; the directory is relative to the root. Absent: this hand cannot. */
  keepOnly?(id: string, directory: string, opaque: boolean, signal?: AbortSignal): Promise<void>
}
