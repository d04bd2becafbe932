import type { Observation, Pin, Policy } from '../core/network/types.ts'

/** A sandbox as the resolver and the proxies see it: whose packets these are, and what it may do. */
export interface Subject {
  readonly id: string
  /** The rules in force; another object after each change. */
  readonly policy: Policy
  /**
   * Told of everything that was tried. Cheap; never throws. A refusal with a `source` is to be told before its socket is
   * closed, and awaited: who holds that socket is looked up meanwhile, for at most 50 ms, and only for what is new.
   */
  observe(what: Observation): void | Promise<void>
  /** Lets addresses of a name be reached; resolves when they can be. */
  pin(pins: Pin[]): Promise<void>
}

/** The sandbox that has this address, by its router's word; null: none that may speak. */
export type FindSubject = (address: string) => Subject | null
