import { decode, encode, type Packet, type RecordType, type Answer as Resource } from 'dns-packet'
import { parseAddress } from '../../core/network/address.ts'

/** DNS messages of others, who may send anything, and ours. The rest of the resolver sees only what is checked here. */

export type Rcode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED'

const RCODES: Record<Rcode, number> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
}

/** A question that can be answered. */
export interface Query {
  readonly id: number
  readonly recursionDesired: boolean
  /** As it was asked, in its capitals: clients compare it. */
  readonly name: string
  readonly type: RecordType
  /** The largest datagram that the client takes, in bytes. */
  readonly udpSize: number
  readonly edns: boolean
}

/** What a name server answered. */
export interface Reply {
  readonly rcode: string
  readonly truncated: boolean
  readonly answers: Resource[]
  /** Seconds for which the absence of records holds; null: it was not told. */
  readonly negativeTtl: number | null
}

/** Datagrams of this size pass every network. */
const UDP_SIZE = 1232
const MIN_UDP_SIZE = 512
const HEADER_SIZE = 12
/** The least that a question and a record take. */
const MIN_QUESTION = 5
const MIN_RECORD = 11

const FLAG = {
  response: 0x8000,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const

/**
 * Reads the question of a sandbox.
 * @returns an error code for what is a question that cannot be answered, null for what deserves no answer
 */
export function parseQuery(message: Buffer): Query | Rcode | null {
  if (message.length < HEADER_SIZE || (message.readUInt16BE(2) & FLAG.response) !== 0) return null
  if (((message.readUInt16BE(2) >> 11) & 0xf) !== 0) return 'NOTIMP'
  const [questions, answers, authorities, additionals] = countsOf(message)
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additionals > 2) return 'FORMERR'
  const packet = tryDecode(message)
  const question = packet?.questions?.[0]
  if (!packet || !question || !isName(question.name)) return 'FORMERR'
  if (question.class !== 'IN') return 'NOTIMP'
  const opt = packet.additionals?.find((record) => record.type === 'OPT')
  return {
    id: message.readUInt16BE(0),
    recursionDesired: (message.readUInt16BE(2) & FLAG.recursionDesired) !== 0,
    name: question.name,
    type: question.type,
    udpSize:
      opt?.type === 'OPT' ? Math.min(Math.max(opt.udpPayloadSize, MIN_UDP_SIZE), UDP_SIZE) : MIN_UDP_SIZE,
    edns: opt !== undefined,
  }
}

/**
 * The answer to a question.
 * @param reason told with a refusal to clients that take it (extended DNS error 18, "prohibited")
 * @param limit bytes; a longer answer says that it must be asked for by TCP
 */
export function encodeAnswer(
  query: Query,
  answer: { rcode: Rcode; records: readonly Resource[]; reason?: string | undefined },
  limit: number,
): Buffer {
  const flags =
    (query.recursionDesired ? FLAG.recursionDesired : 0) | FLAG.recursionAvailable | RCODES[answer.rcode]
  const packet: Packet = {
    type: 'response',
    id: query.id,
    flags,
    questions: [{ name: query.name, type: query.type, class: 'IN' }],
    answers: [...answer.records],
    additionals: query.edns ? [options(answer.reason)] : [],
  }
  const message = encode(packet)
  if (message.length <= limit) return message
  return encode({
    ...packet,
    flags: flags | FLAG.truncated,
    answers: [],
    additionals: query.edns ? [options()] : [],
  })
}

/** The question turned into an answer that says no more than this: no work for who is flooded. */
export function refuseBytes(message: Buffer, rcode: Rcode): Buffer | null {
  if (message.length < HEADER_SIZE || (message.readUInt16BE(2) & FLAG.response) !== 0) return null
  const answer = Buffer.from(message)
  const kept = message.readUInt16BE(2) & (0x7800 | FLAG.recursionDesired)
  answer.writeUInt16BE(FLAG.response | kept | FLAG.recursionAvailable | RCODES[rcode], 2)
  return answer
}

/** A question for a name server. Nothing of the sandbox's own message is in it but name and type. */
export function encodeQuestion(id: number, name: string, type: RecordType): Buffer {
  return encode({
    type: 'query',
    id,
    flags: FLAG.recursionDesired,
    questions: [{ name, type, class: 'IN' }],
    additionals: [options()],
  })
}

/** Reads what came from a name server. @returns null unless it is the answer to this very question */
export function parseReply(
  message: Buffer,
  asked: { id: number; name: string; type: RecordType },
): Reply | null {
  if (message.length < HEADER_SIZE || message.readUInt16BE(0) !== asked.id) return null
  const flags = message.readUInt16BE(2)
  if ((flags & FLAG.response) === 0) return null
  const packet = tryDecode(message)
  const question = packet?.questions?.[0]
  if (!packet || !question || packet.questions?.length !== 1) return null
  if (question.type !== asked.type || question.class !== 'IN') return null
  if (question.name.toLowerCase() !== asked.name) return null
  const soa = packet.authorities?.find((record) => record.type === 'SOA')
  return {
    rcode: String((packet as { rcode?: string }).rcode),
    truncated: (flags & FLAG.truncated) !== 0,
    answers: (packet.answers ?? []).filter(isSound),
    negativeTtl: soa?.type === 'SOA' ? Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0) : null,
  }
}

/** Printable, with labels and a whole that fit the wire: what the decoder lets through need not. */
function isName(name: string): boolean {
  return (
    name === '.' ||
    (name.length <= 253 && name.split('.').every((label) => /^[\x21-\x7e]{1,63}$/.test(label)))
  )
}

type Options = Extract<Resource, { type: 'OPT' }>

function options(reason?: string): Options {
  const PROHIBITED = 18
  const EXTENDED_ERROR = 15
  const data = reason === undefined ? null : Buffer.concat([Buffer.of(0, PROHIBITED), Buffer.from(reason)])
  const list = data === null ? [] : [{ code: EXTENDED_ERROR, data }]
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: UDP_SIZE,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: list,
  } as unknown as Options
}

function countsOf(message: Buffer): [number, number, number, number] {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  return [questions ?? 0, answers ?? 0, authorities ?? 0, additionals ?? 0]
}

/** The decoder makes room for as many records as a header claims: it must not claim what cannot be. */
function tryDecode(message: Buffer): Packet | null {
  const [questions, ...records] = countsOf(message)
  const least = questions * MIN_QUESTION + records.reduce((sum, count) => sum + count, 0) * MIN_RECORD
  if (HEADER_SIZE + least > message.length) return null
  try {
    const packet = decode(message)
    // It reads numbers beyond the end as if they were there.
    return (decode as unknown as { bytes: number }).bytes <= message.length ? packet : null
  } catch {
    return null
  }
}

/** Whether every name in a record can be written again as it was read. */
function isSound(record: Resource): boolean {
  if (!isName(record.name) || (record as { class?: string }).class !== 'IN') return false
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return parseAddress(record.data) !== null
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return isName(record.data)
    case 'MX':
      return isName(record.data.exchange)
    case 'SRV':
      return isName(record.data.target)
    case 'SOA':
      return isName(record.data.mname) && isName(record.data.rname.replaceAll('\\', ''))
    case 'TXT':
      return true
    case 'CAA':
      return /^[a-z0-9]{1,63}$/i.test(record.data.tag) && /^[\x20-\x7e]*$/.test(record.data.value)
    default:
      return false
  }
}
