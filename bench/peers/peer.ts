/** Something that is timed beside Caisson, in the same run. */
export interface Peer {
  name: string
  /** Takes its turn in one round of so many; default 1. Heavy ones would empty the caches for everybody else. */
  every?: number
  /** Runs `true` once; milliseconds. */
  run(): Promise<number>
}

/** The peers of this machine, and why others are missing. */
export interface Peers extends AsyncDisposable {
  /** From nothing to the end of `true`. */
  create: Peer[]
  /** `true` in an environment that runs already. */
  exec: Peer[]
  /** The writes of an environment that runs, kept as an image; 10 MiB in it. */
  commit: Peer[]
  skipped: string[]
}
