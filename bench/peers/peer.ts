/** Something that is timed beside Caisson, in the same run. */
export interface Peer {
  name: string
  /** Runs `true` once; milliseconds. */
  run(): Promise<number>
}

/** The peers of this machine, and why others are missing. */
export interface Peers extends AsyncDisposable {
  /** From nothing to the end of `true`. */
  create: Peer[]
  /** `true` in an environment that runs already. */
  exec: Peer[]
  skipped: string[]
}
