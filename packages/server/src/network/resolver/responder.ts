import type { RecordType } from 'dns-packet'
import { canonicalName } from '../../core/network/name.ts'
import type { Log } from '../../log.ts'
import type { FindSubject, Subject } from '../subject.ts'
import type { Customers } from './customers.ts'
import type { Asker } from './doors.ts'
import type { Found, Kept } from './found.ts'
import { isPassed, judge, type Refused, refusalOf, type Told } from './judge.ts'
import { pinAll, pinSeconds, pinsOf } from './pins.ts'
import { type Questions, TooManyQuestions } from './questions.ts'
import { encodeAnswer, parseQuery, type Query, type Rcode, refuseBytes } from './wire.ts'

interface Parts {
  readonly questions: Questions
  readonly customers: Customers
  readonly find: FindSubject
  readonly ipv6: boolean
  readonly log: Log
}

interface Answer {
  readonly rcode: Rcode
  readonly records: readonly Kept[]
  /** Why there is less than there might be. */
  readonly reason?: string | undefined
}

/** Rules that change while an answer is on its way make it be judged again, so often at most. */
const MAX_JUDGED = 3
const MAX_MESSAGE = 65_535

const NODATA: Answer = { rcode: 'NOERROR', records: [] }
const SERVFAIL: Answer = { rcode: 'SERVFAIL', records: [] }

/**
 * Answers the messages of sandboxes. A name that is refused does not exist (NXDOMAIN): programs take that as final,
 * where REFUSED is a temporary failure to them (EAI_AGAIN), after which they try again.
 */
export class Responder {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** @returns the answer; null: none is due, because nobody that is known asked, or far too much */
  async handle(message: Buffer, asker: Asker): Promise<Buffer | null> {
    const { find, customers, log } = this.#parts
    const subject = find(asker.address)
    if (subject === null) return null
    const { allowance } = customers.of(subject)
    const taken = allowance.take()
    if (taken !== 'answer') {
      if (allowance.tell()) void observe(subject, asker, TOO_MANY)
      return taken === 'refuse' ? refuseBytes(message, 'REFUSED') : null
    }
    const query = parseQuery(message)
    if (query === null || typeof query === 'string') return query && refuseBytes(message, query)
    try {
      const answer = await this.#answer(subject, query, asker)
      return encodeAnswer(query, answer, asker.protocol === 'tcp' ? MAX_MESSAGE : query.udpSize)
    } catch (err) {
      log.debug({ err, sandbox: subject.id, name: query.name }, 'a name could not be looked up')
      return encodeAnswer(query, err instanceof TooManyQuestions ? REFUSED : SERVFAIL, query.udpSize)
    }
  }

  async #answer(subject: Subject, query: Query, asker: Asker): Promise<Answer> {
    const refusal = refusalOf(subject.policy, query.name)
    if (refusal !== null) {
      await observe(subject, asker, refusal)
      return { rcode: 'NXDOMAIN', records: [], reason: refusal.message }
    }
    const { type } = query
    if (!isPassed(type) || (type === 'AAAA' && !this.#parts.ipv6)) return NODATA
    const name = canonicalName(query.name) as string
    const { questions, customers } = this.#parts
    const known = questions.known(name, type)
    if (known !== null) customers.of(subject).allowance.wasKnown()
    const found = known ?? (await questions.find(subject, name, type))
    const told = await this.#tell(subject, name, found)
    if (told === null) return SERVFAIL
    for (const refused of told.refused) await observe(subject, asker, refused)
    return answerOf(query, type, found, told)
  }

  /** Judges an answer, and has the router let its addresses through. @returns null when the rules change all the time */
  async #tell(subject: Subject, name: string, found: Found): Promise<Told | null> {
    const { names } = this.#parts.customers.of(subject)
    const seconds = pinSeconds(found.ttl)
    for (let turn = 0; turn < MAX_JUDGED; turn++) {
      const { policy } = subject
      const told = judge(policy, name, found)
      // Known before they are pinned: rules that come in between forget the pins, and then pin what is known.
      names.add(name, told.addresses)
      await pinAll(subject, policy, pinsOf(policy, name, told.addresses, seconds))
      if (subject.policy === policy) return told
    }
    return null
  }
}

const REFUSED: Answer = { rcode: 'REFUSED', records: [] }

const TOO_MANY: Refused = {
  allowed: false,
  name: '',
  address: null,
  rule: 'lookup limit',
  message: 'This sandbox looks up too many names: 100 a second are answered. Wait, and keep answers.',
}

function answerOf(query: Query, type: RecordType, found: Found, told: Told): Answer {
  const records = told.records.map((record) =>
    record.name === query.name.toLowerCase() ? { ...record, name: query.name } : record,
  )
  if (!found.exists) return { rcode: 'NXDOMAIN', records }
  const [first] = told.refused
  // Without an address that may be reached there is no such host. It is said to the question that everyone asks, and
  // not to the other one, because some take it as said of both.
  if (first !== undefined && told.addresses.length === 0 && type === 'A')
    return { rcode: 'NXDOMAIN', records: [], reason: first.message }
  return { rcode: 'NOERROR', records, reason: first?.message }
}

function observe(subject: Subject, { protocol, port }: Asker, refused: Refused): void | Promise<void> {
  const { name, address, rule, message } = refused
  return subject.observe({
    verdict: 'refused',
    protocol: 'dns',
    name: name === '' ? null : name,
    address,
    port: null,
    rule,
    message,
    source: { protocol, port },
  })
}
