/** What the layers say to one another about a sandbox that is to run. Pure types: no I/O, no defaults. */

/**
 * Where a root file system comes from: storage answers with one, a runtime driver consumes it. Paths are relative to the
 * data directory. What a root of kind `pool` writes goes to the storage pool, which only the launcher sees.
 */
export type RootPlan =
  | { kind: 'overlay' /** Read-only layers, topmost first. */; lowers: string[]; upper: string; work: string }
  | {
      kind: 'pool' /** `images/…` or `saves/<save>`, topmost first; none: what it writes is all there is. */
      lowers: string[]
    }
  | { kind: 'directory'; path: string }

/** Limits that a driver enforces. */
export interface Limits {
  memoryBytes: number
  /** Thousandths of a CPU. */
  cpuMillis: number
  /** Processes and threads. */
  pids: number
}

export interface SandboxPlan {
  id: string
  hostname: string
  /** First host uid of the sandbox's own range of 65536; files on disk stay 0-based. */
  idBase: number
  root: RootPlan
  limits: Limits
  /** Volumes of the storage, mounted at these absolute paths of the sandbox; none is mounted below another. */
  volumes?: { volume: string; path: string; readOnly: boolean }[]
  /** Its processes are not started but come from this dump (see `MemoryHand`). */
  dump?: string
}

/** A timed step of a create, for `Server-Timing`. */
export interface Stage {
  name: string
  ms: number
}
