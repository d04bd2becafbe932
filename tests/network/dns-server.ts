import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { type Answer, decode, encode, type Packet, streamDecode, streamEncode } from 'dns-packet'
import { type DnsRecord, type Seen, WILDCARDS, ZONE } from './places.ts'

const turns = new Map<string, number>()

/** Replaces what is said of a name. */
export function setZone(name: string, records: DnsRecord[] | { turns: DnsRecord[][] }): void {
  ZONE[name] = records
  turns.delete(name)
}

/** Answers queries at each address, over UDP and TCP. */
export async function serveDns(addresses: string[], port: number, see: (seen: Seen) => void): Promise<void> {
  for (const address of addresses) {
    await serveUdp(address, port, see)
    await serveTcp(address, port, see)
  }
}

function serveUdp(address: string, port: number, see: (seen: Seen) => void): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => {})
  socket.on('message', (data, peer) => {
    const reply = answer(data, address, port, peer.address, see)
    if (!reply) return
    const size = encode(reply).length
    const fits = size <= 1232 ? reply : { ...reply, flags: (reply.flags ?? 0) | 0x200, answers: [] }
    socket.send(encode(fits), peer.port, peer.address)
  })
  return new Promise((resolve) => socket.bind(port, address, () => resolve()))
}

function serveTcp(address: string, port: number, see: (seen: Seen) => void): Promise<void> {
  const server = createServer((socket) => {
    let kept = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      kept = Buffer.concat([kept, data])
      while (kept.length >= 2 && kept.length >= 2 + kept.readUInt16BE(0)) {
        const one = kept.subarray(0, 2 + kept.readUInt16BE(0))
        kept = kept.subarray(one.length)
        const reply = answer(encode(streamDecode(one)), address, port, socket.remoteAddress ?? '', see)
        if (reply) socket.write(streamEncode(reply))
      }
    })
  })
  return new Promise((resolve) => server.listen(port, address, () => resolve()))
}

function answer(
  data: Uint8Array,
  address: string,
  port: number,
  from: string,
  see: (seen: Seen) => void,
): Packet | null {
  const query = decode(Buffer.from(data))
  const question = query.questions?.[0]
  if (!question) return null
  see({ address, port, kind: 'dns', from, name: question.name, what: question.type })
  const name = question.name.toLowerCase()
  const answers = collect(name, question.type)
  const known = answers.length > 0 || entry(name) !== undefined
  return {
    type: 'response',
    id: query.id ?? 0,
    // Recursion desired as asked, available; NXDOMAIN for what is nowhere.
    flags: 0x180 | (known ? 0 : 3),
    questions: [question],
    answers: answers.map((one) => (one.name === name ? { ...one, name: question.name } : one)),
  }
}

/** The records of a type, and the chain of aliases that leads to them. */
function collect(name: string, type: string, depth = 0): Answer[] {
  const found = records(name).map((record) => ({ name, class: 'IN', ...record }) as Answer)
  const alias = found.find((one) => one.type === 'CNAME')
  if (alias?.type === 'CNAME' && type !== 'CNAME' && depth < 8)
    return [alias, ...collect(alias.data, type, depth + 1)]
  return found.filter((one) => one.type === type || type === 'ANY')
}

function entry(name: string): (typeof ZONE)[string] | undefined {
  const wild = WILDCARDS.find((parent) => name.endsWith(`.${parent}`))
  return ZONE[name] ?? (wild && ZONE[wild])
}

function records(name: string): DnsRecord[] {
  const found = entry(name)
  if (!found || Array.isArray(found)) return found ?? []
  const turn = turns.get(name) ?? 0
  turns.set(name, turn + 1)
  return found.turns[turn % found.turns.length] ?? []
}
