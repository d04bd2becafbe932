import type { RouterFacts } from '../../core/network/types.ts'
import type { FindSubject } from '../../network/subject.ts'
import type { NetworkHand } from '../../runtime/driver.ts'
import type { Doors, OpenDoors } from './doors.ts'
import { hostAddresses } from './host-addresses.ts'

const LOOK_MS = 30_000

export interface RouterOptions {
  hand: NetworkHand
  /** Private ranges that rules may open. */
  permit: string[]
  openDoors: OpenDoors
  find: FindSubject
  /** The host's own addresses; told otherwise by tests. */
  addresses?: () => string[]
}

/** The router and the server's doors at it, which come up together when the first sandbox needs them. */
export class Router {
  readonly #options: RouterOptions
  #opening: Promise<Doors> | null = null
  #open: { facts: RouterFacts; doors: Doors } | null = null
  #host: string[] = []
  readonly #vouched = new Set<string>()
  #madeAt = Number.NEGATIVE_INFINITY

  constructor(options: RouterOptions) {
    this.#options = options
  }

  /** The host's addresses as the router knows them. */
  get host(): readonly string[] {
    return this.#host
  }

  /** null: it was not opened yet. */
  get facts(): RouterFacts | null {
    return this.#open?.facts ?? null
  }

  /** null: nothing needed them yet. */
  get doors(): Doors | null {
    return this.#open?.doors ?? null
  }

  /** Opens once; after a failure the next caller tries again. @throws SandboxError `host_not_ready` */
  open(): Promise<Doors> {
    this.#opening ??= this.#make().catch((error) => {
      this.#opening = null
      throw error
    })
    return this.#opening
  }

  /** Makes sure that it is there, and tells it the host's present addresses. */
  async refresh(): Promise<void> {
    await this.#opening?.catch(() => {})
    this.#opening = null
    await this.open()
  }

  /**
   * Makes the router carry these reserved addresses for the sandboxes whose rules open them: no other's do. It stays so
   * until the server ends.
   */
  async vouch(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) this.#vouched.add(address)
    if (addresses.length > 0) await this.refresh()
  }

  /** Whether the host has other addresses than the router knows. */
  get outdated(): boolean {
    return this.#addresses().join() !== this.#host.join()
  }

  /** Whether it is time to look at it again: who tidies the host's firewall takes its part of the router with it. */
  get due(): boolean {
    return performance.now() - this.#madeAt >= LOOK_MS
  }

  /** Closes the doors. What the router forwards by address goes on. */
  async close(): Promise<void> {
    await this.#opening?.catch(() => {})
    this.#opening = null
    await this.#open?.doors.close()
    this.#open = null
  }

  async #make(): Promise<Doors> {
    const { hand, permit, openDoors, find } = this.#options
    const host = this.#addresses()
    const facts = await hand.open({ permit: [...permit, ...this.#vouched], host })
    this.#host = host
    this.#madeAt = performance.now()
    if (this.#open !== null && same(this.#open.facts, facts)) return this.#open.doors
    await this.#open?.doors.close()
    this.#open = null
    this.#open = { facts, doors: await openDoors(facts, find) }
    return this.#open.doors
  }

  #addresses(): string[] {
    return (this.#options.addresses ?? hostAddresses)()
  }
}

function same(a: RouterFacts, b: RouterFacts): boolean {
  return a.address4 === b.address4 && a.address6 === b.address6
}
