import type { ServerResponse } from 'node:http'
import type { Client } from './flows.ts'
import { judge, label, reach, type Target, type Ways } from './reach.ts'
import { Refusal } from './refusal.ts'
import { reset } from './splice.ts'
import { Upstream } from './upstream.ts'

const HTTP = 80
/** Requests that may be sent before the first is answered. apt sends ten. */
const MAX_WAITING = 16

/** A connection of a sandbox on which requests come, one handled after the other. */
export class HttpConnection {
  readonly client: Client
  /** What is being handled: whom it is for, and its answer. */
  present: { target: Target | null; res: ServerResponse } | null = null
  readonly #ways: Ways
  #upstream: Upstream | null = null
  #waiting = 0
  #over = false
  #last: Promise<void> = Promise.resolve()

  constructor(client: Client, ways: Ways) {
    this.client = client
    this.#ways = ways
    client.gone.addEventListener('abort', () => this.#upstream?.close())
  }

  /** Whether something of an answer was sent, so that nothing else can be said before its end. */
  get answering(): boolean {
    return this.present?.res.headersSent === true && !this.present.res.writableFinished
  }

  /** Something was refused in a way that ends the connection: what else has come, or is on its way, goes nowhere. */
  end(): void {
    this.#over = true
    this.#upstream?.close()
  }

  get over(): boolean {
    return this.#over || this.client.gone.aborted
  }

  /** @param work never rejects */
  enqueue(work: () => Promise<void>): void {
    const { client } = this
    if (client.gone.aborted || client.socket.destroyed) return
    if (++this.#waiting > MAX_WAITING) {
      void client.tell(tooMany(), this.present?.target ?? null)
      client.reset()
      return
    }
    this.#last = this.#last.then(async () => {
      if (!this.over) await work()
      this.#waiting--
    })
  }

  /**
   * A connection that takes a request for this target: the last one when it is for the same and still allowed.
   * @throws as `reach`
   */
  async upstreamFor(target: Target): Promise<Upstream> {
    const last = this.#upstream
    if (last?.free && label(last.reached.target) === label(target) && this.#allows(last)) return last
    last?.close()
    this.#upstream = null
    const reached = await reach(this.client.subject, target, HTTP, this.#ways, this.client.gone)
    if (this.over) {
      reset(reached.socket)
      throw new Error('the connection has ended')
    }
    this.client.begin(reached)
    this.#upstream = new Upstream(reached)
    return this.#upstream
  }

  /** The present connection to a server is another's business from here on. */
  release(): void {
    this.#upstream = null
  }

  #allows({ reached }: Upstream): boolean {
    return judge(this.client.subject.policy, reached.target, reached.address).allowed
  }
}

function tooMany(): Refusal {
  return new Refusal(
    'pipelining limit',
    `More than ${MAX_WAITING} requests were sent on one connection before the first was answered. Wait for answers.`,
  )
}
