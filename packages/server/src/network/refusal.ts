import type { Judgement } from '../core/network/types.ts'

/** What a sandbox asked of a proxy and does not get. The message is for the sandbox and for its log. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly rule: string
  /** The address that was refused, where it was one. */
  readonly address: string | null
  /** Nobody can say what was asked for, so that no rule would help. */
  readonly malformed: boolean

  constructor(rule: string, message: string, { address = null as string | null, malformed = false } = {}) {
    super(message)
    this.rule = rule
    this.address = address
    this.malformed = malformed
  }

  static of(judgement: Judgement, address: string | null = null): Refusal {
    return new Refusal(judgement.rule, judgement.message, { address })
  }
}

/** What was asked for is allowed, and nothing there answers. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
  /** The entry that allowed it. */
  readonly rule: string
  readonly address: string | null

  constructor(rule: string, address: string | null, message: string, options?: ErrorOptions) {
    super(message, options)
    this.rule = rule
    this.address = address
  }
}
