import type { Socket } from 'node:net'
import type { Observation } from '../core/network/types.ts'
import type { Limits } from './limits.ts'
import { judge, type Reached, type Target } from './reach.ts'
import { Refusal, type Unreachable } from './refusal.ts'
import { reset } from './splice.ts'
import type { FindSubject, Subject } from './subject.ts'

type Protocol = 'tls' | 'http'
type What = Pick<Observation, 'verdict' | 'name' | 'address' | 'rule' | 'message'>

/** The book of what is open: every connection of a sandbox to a proxy, and where it leads. */
export class Flows {
  readonly #find: FindSubject
  readonly #limits: Limits
  readonly #clients = new Map<string, Set<Client>>()
  #total = 0

  constructor(find: FindSubject, limits: Limits) {
    this.#find = find
    this.#limits = limits
  }

  /** Connections of sandboxes that are open. */
  get size(): number {
    return this.#total
  }

  /** Enters a new connection. @returns null: nobody's, or one too many; it is being closed. */
  admit(socket: Socket, protocol: Protocol, port: number): Client | null {
    socket.on('error', () => {})
    const from = socket.remoteAddress ?? ''
    const subject = this.#find(from)
    if (subject === null) {
      reset(socket)
      return null
    }
    const client = new Client(socket, subject, { protocol, port, find: () => this.#find(from) })
    const others = this.#clients.get(subject.id) ?? new Set()
    if (others.size >= this.#limits.perSandbox || this.#total >= this.#limits.total) {
      void client.fail(tooMany(others.size), null)
      return null
    }
    this.#clients.set(subject.id, others.add(client))
    this.#total++
    socket.once('close', () => {
      others.delete(client)
      if (others.size === 0 && this.#clients.get(subject.id) === others) this.#clients.delete(subject.id)
      this.#total--
    })
    return client
  }

  /** Judges everything that a sandbox has open by its present rules, and resets what they do not allow. */
  cut(id: string): void {
    for (const client of [...(this.#clients.get(id) ?? [])]) client.judgeAgain()
  }

  close(): void {
    for (const clients of [...this.#clients.values()]) for (const client of [...clients]) client.reset()
  }
}

function tooMany(open: number): Refusal {
  return new Refusal(
    'connection limit',
    `The limit of open connections is reached, with ${open} of this sandbox. Close some, or wait until some are closed.`,
  )
}

interface Facts {
  protocol: Protocol
  /** Which port of the target the sandbox means. */
  port: number
  /** Whose the address is that it came from. */
  find: () => Subject | null
}

/** A connection of a sandbox to one of the proxies. */
export class Client {
  readonly socket: Socket
  #subject: Subject
  readonly #facts: Facts
  readonly #source: { protocol: 'tcp'; port: number }
  readonly #gone = new AbortController()
  readonly #flows = new Set<Reached>()

  constructor(socket: Socket, subject: Subject, facts: Facts) {
    this.socket = socket
    this.#subject = subject
    this.#facts = facts
    this.#source = { protocol: 'tcp', port: socket.remotePort ?? 0 }
    socket.once('close', () => this.#gone.abort())
  }

  get subject(): Subject {
    return this.#subject
  }

  /** Aborted when this connection is closed. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Notes a connection that was made for this one, and its end. Closing it is the caller's. */
  begin(reached: Reached): void {
    const { socket, target, address, rule } = reached
    const what: What = {
      verdict: 'allowed',
      name: target.name,
      address,
      rule,
      message: `Allowed by "${rule}".`,
    }
    this.#flows.add(reached)
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#flows.delete(reached)
      this.#observe(what, { bytes: { up: socket.bytesWritten, down: socket.bytesRead } })
    })
    this.#observe(what)
  }

  /** Tells why something came to nothing. Who tried it is looked up while its socket is open. */
  async tell(error: Refusal | Unreachable, target: Target | null): Promise<void> {
    await this.#observe(
      {
        verdict: error instanceof Refusal ? 'refused' : 'allowed',
        name: target?.name ?? null,
        address: error.address ?? target?.address ?? null,
        rule: error.rule,
        message: error.message,
      },
      { source: this.#source },
    )
  }

  /** Tells, and resets the connection: the program that made it fails at once. */
  async fail(error: Refusal | Unreachable, target: Target | null): Promise<void> {
    await this.tell(error, target)
    this.reset()
  }

  /** Resets what the present rules do not allow, and everything when the address has become another's. */
  judgeAgain(): void {
    const subject = this.#facts.find()
    if (subject?.id !== this.#subject.id) {
      this.reset()
      return
    }
    this.#subject = subject
    for (const { target, address } of [...this.#flows]) {
      const judgement = judge(subject.policy, target, address)
      if (judgement.allowed) continue
      const { rule, message } = judgement
      this.#observe({ verdict: 'refused', name: target.name, address, rule, message })
      this.reset()
    }
  }

  reset(): void {
    for (const { socket } of this.#flows) reset(socket)
    reset(this.socket)
  }

  #observe(what: What, more: Pick<Observation, 'source' | 'bytes'> = {}): void | Promise<void> {
    const { protocol, port } = this.#facts
    return this.#subject.observe({ ...what, protocol, port, ...more })
  }
}
