import { orAborted } from '../../abort.ts'
import { type Pin, ROUTER_PORTS, type RouterFacts } from '../../core/network/types.ts'
import type { Log } from '../../log.ts'
import { Undo } from '../../undo.ts'
import type { FindSubject, Subject } from '../subject.ts'
import { Customers } from './customers.ts'
import { openDoor } from './doors.ts'
import type { Found } from './found.ts'
import { judge, refusalOf } from './judge.ts'
import { parseNameServer } from './name-servers.ts'
import { pinsAgain } from './pins.ts'
import { Questions } from './questions.ts'
import { Responder } from './responder.ts'
import { UPSTREAM_LIMITS, Upstream, type UpstreamLimits } from './upstream.ts'

export { systemNameServers } from './name-servers.ts'

export interface ResolverOptions {
  /** `address` or `address:port`, at least one. */
  readonly nameServers: readonly string[]
  readonly find: FindSubject
  /** Whether sandboxes have IPv6: otherwise names have no IPv6 addresses for them. */
  readonly ipv6: boolean
  readonly log: Log
  readonly limits?: UpstreamLimits
}

const FAMILIES = { v4: ['A'], both: ['A', 'AAAA'] } as const

/**
 * The name server of all sandboxes. It asks the host's name servers for names that the rules of a sandbox allow, and
 * for no others; drops addresses that may not be reached; and lets those that have rules for their ports be reached
 * before it tells them. What is allowed is a channel by its nature: whoever owns an allowed zone reads the names that
 * are asked for below it. Their number is bounded.
 */
export class Resolver {
  readonly #ipv6: boolean
  readonly #customers = new Customers()
  readonly #questions: Questions
  readonly #responder: Responder
  readonly #undo = new Undo()

  /** @throws SandboxError `invalid_request` for a name server that is none */
  constructor({ nameServers, find, ipv6, log, limits = UPSTREAM_LIMITS }: ResolverOptions) {
    const servers = nameServers.map((text, at) => parseNameServer(text, `network.dns[${at}]`))
    const upstream = new Upstream(servers, limits)
    this.#undo.add(() => upstream.close())
    this.#ipv6 = ipv6
    this.#questions = new Questions(upstream, this.#customers, log)
    this.#responder = new Responder({
      questions: this.#questions,
      customers: this.#customers,
      find,
      ipv6,
      log,
    })
  }

  /**
   * Answers at the server's end of the router, by UDP and TCP.
   * @param port default: where the router sends what sandboxes ask; 0: any
   * @returns the ports, of IPv4 and then of IPv6
   */
  async listen({ address4, address6 }: RouterFacts, port: number = ROUTER_PORTS.dns): Promise<number[]> {
    const ports: number[] = []
    for (const address of [address4, address6]) {
      if (address === null) continue
      const door = await openDoor(address, port, (message, asker) => this.#responder.handle(message, asker))
      this.#undo.add(() => door.close())
      ports.push(door.port)
    }
    return ports
  }

  /**
   * The addresses of a name that a sandbox may reach, IPv4 first; none when its rules refuse the name or all of them.
   * @param name canonical
   * @throws when no name server answers in time or too many questions of this sandbox wait, or the signal's reason
   */
  async resolve(subject: Subject, name: string, signal?: AbortSignal): Promise<string[]> {
    const found = await this.#find(subject, name, signal)
    const addresses = found.flatMap((one) => judge(subject.policy, name, one).addresses)
    this.#customers.of(subject).names.add(name, addresses)
    return addresses
  }

  /** The same with the addresses that may not be reached, for explanations. */
  async addressesOf(subject: Subject, name: string, signal?: AbortSignal): Promise<string[]> {
    const found = await this.#find(subject, name, signal)
    return found.flatMap(({ records }) =>
      records.flatMap((record) => (record.type === 'A' || record.type === 'AAAA' ? record.data : [])),
    )
  }

  /** The name for which a sandbox was told this address last; null: for none in the last hour. */
  nameOf(subject: Subject, address: string): string | null {
    return this.#customers.of(subject).names.nameOf(address)
  }

  /**
   * What lets names that were asked for in the last hour, and are allowed by the present rules, be reached as before:
   * to be set together with new rules, which begin without pins.
   */
  pinsOf(subject: Subject): Pin[] {
    return pinsAgain(subject.policy, this.#customers.of(subject).names)
  }

  /** Ends everything that is open or asked. */
  async close(): Promise<void> {
    await this.#undo[Symbol.asyncDispose]()
  }

  /** Of both families; one that fails is left out when the other one is there. */
  async #find(subject: Subject, name: string, signal?: AbortSignal): Promise<Found[]> {
    signal?.throwIfAborted()
    if (refusalOf(subject.policy, name) !== null) return []
    const asked = FAMILIES[this.#ipv6 ? 'both' : 'v4'].map((type) =>
      this.#questions.find(subject, name, type),
    )
    const settled = await orAborted(Promise.allSettled(asked), signal)
    const found = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    return found.length > 0 ? found : Promise.all(asked)
  }
}
