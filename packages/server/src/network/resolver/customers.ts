import type { Subject } from '../subject.ts'
import { Allowance } from './allowance.ts'
import { NamesTold } from './names-told.ts'

/** What the resolver remembers of one sandbox. */
export interface Customer {
  readonly allowance: Allowance
  readonly names: NamesTold
}

/** Goes with the sandboxes: nothing is kept of one that nobody knows any more. */
export class Customers {
  readonly #known = new WeakMap<Subject, Customer>()

  of(subject: Subject): Customer {
    const known = this.#known.get(subject) ?? { allowance: new Allowance(), names: new NamesTold() }
    this.#known.set(subject, known)
    return known
  }
}
