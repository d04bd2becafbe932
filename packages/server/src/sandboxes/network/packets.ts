import { explain } from '../../core/network/explain.ts'
import { type Observation, type Packet, ROUTER_PORTS } from '../../core/network/types.ts'
import type { Context } from '../context.ts'
import { type PacketHeaders, parsePacket } from './packet.ts'
import type { NetworkedSandbox } from './subjects.ts'

const DNS_OVER_TLS = 853
/** What was meant by packets that the router sends to the server's doors. */
const MEANT = new Map<number | null, number>([
  [ROUTER_PORTS.dns, 53],
  [ROUTER_PORTS.http, 80],
  [ROUTER_PORTS.tls, 443],
])

/** Notes first packets of sandboxes, as the router tells them. @returns the undo. */
export function watchPackets({ networks }: Pick<Context, 'networks'>): () => void {
  if (networks === null) return () => {}
  const { hand, subjects, router } = networks
  return hand.onPacket((packet) => {
    const subject = subjects.get(packet.sandbox)
    const headers = parsePacket(packet.data)
    if (subject === undefined || headers === null) return
    const name = router.doors?.nameOf(subject, headers.destination) ?? null
    void subject.observe(observation(subject, packet.kind, headers, name))
  })
}

/** What a packet tells, and why it was refused. */
export function observation(
  subject: Pick<NetworkedSandbox, 'policy'>,
  kind: Packet['kind'],
  headers: PacketHeaders,
  name: string | null,
): Observation {
  const { protocol, destination, port, sourcePort } = headers
  const hasSocket = sourcePort !== null && (protocol === 'tcp' || protocol === 'udp')
  // Of connections only allowed ones are counted, so that this one was on its way to a door, and meant for another.
  const diverted = kind === 'connections' && !subject.policy.judgeAddress(destination).allowed
  return {
    verdict: kind === 'new' ? 'allowed' : 'refused',
    protocol,
    name,
    address: diverted ? null : destination,
    port: diverted ? (MEANT.get(port) ?? port) : port,
    ...reason(subject, kind, headers, name),
    ...(hasSocket && { source: { protocol, port: sourcePort } }),
  }
}

type Reason = Pick<Observation, 'rule' | 'message'>

function reason(
  { policy }: Pick<NetworkedSandbox, 'policy'>,
  kind: Packet['kind'],
  { destination, port }: PacketHeaders,
  name: string | null,
): Reason {
  if (kind === 'connections') return LIMIT
  if (kind === 'quic' && port !== DNS_OVER_TLS) return QUIC
  const asked = { host: name ?? destination, kind: name === null ? 'address' : 'name', port } as const
  const { verdict, rule, message } = explain(policy, asked, name === null ? [] : [destination])
  if (kind === 'new' || verdict === 'refused') return { rule, message }
  return stale(destination)
}

const LIMIT: Reason = {
  rule: 'connection limit',
  message:
    'The limit of open connections of this sandbox is reached. Close some, or raise "connections" in its network rules.',
}

const QUIC: Reason = {
  rule: 'QUIC',
  message:
    'QUIC (UDP port 443) is refused where rules have names, because it would hide them. Use HTTPS over TCP; programs fall back to it by themselves.',
}

/** Allowed now, and refused when it came: its name was looked up too long ago, or rules have changed since. */
function stale(address: string): Reason {
  return {
    rule: 'name needed',
    message: `${address} was refused because no name that is allowed was looked up for it lately. Look the name up again and connect to what it answers.`,
  }
}
