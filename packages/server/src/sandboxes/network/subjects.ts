import { setTimeout as delay } from 'node:timers/promises'
import type { NetworkRecord, Observation, Pin, Plugged, Policy } from '../../core/network/types.ts'
import type { FindSubject, Subject } from '../../network/subject.ts'
import type { NetworkHand } from '../../runtime/driver.ts'
import type { Ledger } from './ledger.ts'
import { NO_NETWORK } from './no-network.ts'

/** Milliseconds that a refusal may wait for the name of its program. */
const OWNER_MS = 50

/** A sandbox that is plugged. */
export class NetworkedSandbox implements Subject {
  readonly id: string
  readonly plugged: Plugged
  /** What the policy was made of. */
  rules: NetworkRecord | null = null
  policy: Policy = NO_NETWORK
  /** What is in force may not be what was asked for: it is tried again. */
  stale = false
  readonly #hand: NetworkHand
  readonly #ledger: Ledger

  constructor(id: string, plugged: Plugged, hand: NetworkHand, ledger: Ledger) {
    this.id = id
    this.plugged = plugged
    this.#hand = hand
    this.#ledger = ledger
  }

  observe(what: Observation): void | Promise<void> {
    const entry = this.#ledger.observe(this.id, what)
    if (entry === null || what.source === undefined) return
    return this.#lookUp(entry, what.source)
  }

  /** Whose socket it was, as far as that can be told in time. */
  async #lookUp(
    entry: { process: string | null },
    source: NonNullable<Observation['source']>,
  ): Promise<void> {
    const owner = this.#hand.owner(this.id, source.protocol, source.port).catch(() => null)
    entry.process = await Promise.race([owner, delay(OWNER_MS, null, { ref: false })])
  }

  /** Brings what the policy says to the kernel. */
  setRules(pins: Pin[]): Promise<void> {
    return this.#hand.setRules(this.id, this.policy.packets, pins)
  }

  pin(pins: Pin[]): Promise<void> {
    return this.#hand.pin(this.id, pins)
  }
}

/** Whose packets are whose, as the router has told. */
export class Subjects {
  readonly #byId = new Map<string, NetworkedSandbox>()
  readonly #byAddress = new Map<string, NetworkedSandbox>()
  readonly #make: (id: string, plugged: Plugged) => NetworkedSandbox

  constructor(hand: NetworkHand, ledger: Ledger) {
    this.#make = (id, plugged) => new NetworkedSandbox(id, plugged, hand, ledger)
  }

  readonly find: FindSubject = (address) => this.#byAddress.get(address.replace(/^::ffff:/i, '')) ?? null

  get(id: string): NetworkedSandbox | undefined {
    return this.#byId.get(id)
  }

  /** The sandbox at these addresses, which take their place from who had them before: the kernel gives them to one at a time. */
  add(id: string, plugged: Plugged): NetworkedSandbox {
    const known = this.#byId.get(id)
    if (known !== undefined && addressesOf(known.plugged).join() === addressesOf(plugged).join()) return known
    this.remove(id)
    const subject = this.#make(id, plugged)
    this.#byId.set(id, subject)
    for (const address of addressesOf(plugged)) this.#byAddress.set(address, subject)
    return subject
  }

  /** Its packets are nobody's from now on, and what still holds it may do nothing. */
  remove(id: string): void {
    const subject = this.#byId.get(id)
    if (subject === undefined) return
    subject.policy = NO_NETWORK
    this.#byId.delete(id)
    for (const address of addressesOf(subject.plugged))
      if (this.#byAddress.get(address) === subject) this.#byAddress.delete(address)
  }
}

export function addressesOf({ address4, address6 }: Plugged): string[] {
  return address6 === null ? [address4] : [address4, address6]
}
