import type { RecordType } from 'dns-packet'
import type { Log } from '../../log.ts'
import type { Subject } from '../subject.ts'
import type { Customers } from './customers.ts'
import type { Found } from './found.ts'
import { Lookup } from './lookup.ts'
import type { Upstream } from './upstream.ts'

/** Milliseconds between two complaints about name servers: thousands of questions may fail at once. */
const COMPLAIN_MS = 60_000

/** A sandbox has as many questions waiting as it may. */
export class TooManyQuestions extends Error {
  constructor() {
    super('too many questions of this sandbox wait for an answer')
  }
}

/** Questions of sandboxes: answered at once where the answer is known, else as many at a time as each may have. */
export class Questions {
  readonly #lookup: Lookup
  readonly #customers: Customers
  readonly #log: Log
  #complained = Number.NEGATIVE_INFINITY

  constructor(upstream: Upstream, customers: Customers, log: Log) {
    this.#lookup = new Lookup(upstream)
    this.#customers = customers
    this.#log = log
  }

  /** What can be said without asking anybody. */
  known(name: string, type: RecordType): Found | null {
    return this.#lookup.known(name, type)
  }

  /**
   * @param name canonical, and allowed
   * @throws TooManyQuestions, or an error when no name server answers in time
   */
  async find(subject: Subject, name: string, type: RecordType): Promise<Found> {
    const known = this.known(name, type)
    if (known !== null) return known
    const leave = this.#customers.of(subject).allowance.wait()
    if (leave === null) throw new TooManyQuestions()
    this.#log.debug({ sandbox: subject.id, name, type }, 'a name is looked up')
    try {
      return await this.#lookup.ask(name, type)
    } catch (error) {
      this.#complain(error)
      throw error
    } finally {
      leave()
    }
  }

  #complain(err: unknown): void {
    if (performance.now() - this.#complained < COMPLAIN_MS) return
    this.#complained = performance.now()
    this.#log.warn({ err }, 'name servers do not answer; names cannot be resolved for sandboxes')
  }
}
