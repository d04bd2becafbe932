import type { Peers } from './peers/peer.ts'
import type { Series } from './stats.ts'

/** What a scenario gets. */
export interface Run {
  /** Removed with everything in it when the run ends. */
  workDir: string
  /** Fewer repetitions, smaller streams. */
  quick: boolean
  /** Readied by the first scenario that asks. */
  peers(): Promise<Peers>
  /** Says what is going on. */
  progress(text: string): void
}

/** A promise of docs/specification.md against what was measured. */
export interface Target {
  promise: string
  value: number
  limit: number
  /** "×", "ms", "MiB", "%". */
  unit: string
}

export interface Outcome {
  /** Samples in the order in which they were taken, by name, in milliseconds. */
  series?: Series
  /** Single figures. */
  figures?: { name: string; value: number; unit: string }[]
  targets?: Target[]
  notes?: string[]
}

export interface Scenario {
  name: string
  title: string
  run(run: Run): Promise<Outcome>
}
