/** What one sandbox may ask of the resolver. */

/** Questions a second, in the long run and in one go: whoever owns an allowed zone reads what is asked for below it. */
const ANSWERS = { rate: 100, burst: 200 }
/** Questions beyond that which are refused, so that programs need not wait; what is more gets no answer at all. */
const REFUSALS = { rate: 1000, burst: 2000 }
/** Of a question whose answer was known: it tells nobody anything. */
const KNOWN_COST = 0.1
/** Questions of one sandbox that wait for name servers. */
const MAX_WAITING = 64
/** Milliseconds between two observations of refused questions. */
const TELL_MS = 1000

type Clock = () => number

export class Allowance {
  readonly #answers: Bucket
  readonly #refusals: Bucket
  readonly #now: Clock
  #told = Number.NEGATIVE_INFINITY
  #waiting = 0

  /** @param now milliseconds of a clock that is never set back */
  constructor(now: Clock = () => performance.now()) {
    this.#now = now
    this.#answers = new Bucket(ANSWERS, now)
    this.#refusals = new Bucket(REFUSALS, now)
  }

  /** Counts a question, and says what becomes of it. */
  take(): 'answer' | 'refuse' | 'drop' {
    if (this.#answers.take()) return 'answer'
    return this.#refusals.take() ? 'refuse' : 'drop'
  }

  /** The answer to the question that was counted last was known. */
  wasKnown(): void {
    this.#answers.giveBack(1 - KNOWN_COST)
  }

  /** A place among those that wait; null: there is none. @returns the undo, to be called once */
  wait(): (() => void) | null {
    if (this.#waiting >= MAX_WAITING) return null
    this.#waiting++
    return () => {
      this.#waiting--
    }
  }

  /** Whether it is time to tell of refused questions. */
  tell(): boolean {
    const now = this.#now()
    if (now - this.#told < TELL_MS) return false
    this.#told = now
    return true
  }
}

/** Fills with so many a second up to a burst. */
class Bucket {
  readonly #rate: number
  readonly #burst: number
  readonly #now: Clock
  #left: number
  #at: number

  constructor({ rate, burst }: { rate: number; burst: number }, now: Clock) {
    this.#rate = rate
    this.#burst = burst
    this.#now = now
    this.#left = burst
    this.#at = now()
  }

  take(): boolean {
    const now = this.#now()
    this.giveBack(((now - this.#at) / 1000) * this.#rate)
    this.#at = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }

  giveBack(tokens: number): void {
    this.#left = Math.min(this.#burst, this.#left + tokens)
  }
}
