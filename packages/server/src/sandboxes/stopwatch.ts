import type { Stage } from '../core/plan.ts'

/** Collects the stages of what is timed; `add` takes those that a layer below measured itself. */
export class Stopwatch {
  readonly stages: Stage[] = []
  #last = performance.now()

  lap(name: string): void {
    const now = performance.now()
    this.stages.push({ name, ms: now - this.#last })
    this.#last = now
  }

  add(stages: Stage[]): void {
    this.stages.push(...stages)
  }
}
