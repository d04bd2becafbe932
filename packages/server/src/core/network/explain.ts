import type { NetworkExplanation } from '@caisson/protocol/resources'
import { invalid } from '../invalid.ts'
import { type Address, formatAddress, fromBytes, parseAddress } from './address.ts'
import { parsePort } from './entry.ts'
import { canonicalName } from './name.ts'
import { NAMED_PORTS } from './policy.ts'
import { covers } from './ranges.ts'
import type { Judgement, Policy } from './types.ts'

/** Where a connection would go. */
export interface Asked {
  /** Canonical. */
  readonly host: string
  readonly kind: 'name' | 'address'
  /** null: no port is meant in particular. */
  readonly port: number | null
}

const DNS = 53
const DNS_OVER_TLS = 853

/**
 * `example.com`, `example.com:443`, `192.0.2.1:22`, `2001:db8::1`, `[2001:db8::1]:443`.
 * @throws SandboxError `invalid_request`
 */
export function parseDestination(text: string, path = 'destination'): Asked {
  const whole = hostOf(text)
  if (whole !== null) return { ...whole, port: null }
  const [, bracketed, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/s.exec(text) ?? []
  const host = hostOf(bracketed ?? plain)
  const port = digits === undefined ? null : parsePort(digits)
  if (host === null || (digits !== undefined && port === null)) {
    const forms = '"example.com", "example.com:443", "192.0.2.1" or "[2001:db8::1]:443"'
    throw invalid(path, `${JSON.stringify(text)} is no host, with or without a port, such as ${forms}`)
  }
  return { ...host, port }
}

/**
 * What would become of a connection, and why.
 * @param addresses those that a name has now, also such as may not be reached; not looked at for an address
 * @param ipv6 whether sandboxes have IPv6 on this host
 */
export function explain(
  policy: Policy,
  asked: Asked,
  addresses: readonly string[],
  { ipv6 = true } = {},
): NetworkExplanation {
  const destination = showDestination(asked)
  if (asked.kind === 'address') {
    const judged = judgeDirect(policy, asked.host, asked.port)
    const verdict = judged.allowed && !ipv6 && asked.host.includes(':') ? NO_IPV6 : judged
    return explanation(destination, verdict, [{ address: asked.host, ...verdict }])
  }
  const byName = policy.judgeName(asked.host)
  if (!byName.allowed || asked.port === DNS) return explanation(destination, byName, [])
  const judged = addresses.map((address) => ({ address, ...judgeNamed(policy, asked, address) }))
  return explanation(destination, summary(asked, byName, judged), judged)
}

/** The same for a sandbox that has no network. */
export function explainNone(asked: Asked): NetworkExplanation {
  const message =
    'This sandbox has no network. Give it one by setting its network rules, as with {"network": {"allow": ["example.com"]}}.'
  return explanation(showDestination(asked), { allowed: false, rule: 'no network', message }, [])
}

type Judged = Judgement & { address: string }

function explanation(destination: string, verdict: Judgement, addresses: Judged[]): NetworkExplanation {
  return {
    destination,
    verdict: word(verdict),
    rule: verdict.rule,
    message: verdict.message,
    addresses: addresses.map((one) => ({ address: one.address, verdict: word(one), rule: one.rule })),
  }
}

/** A connection to a bare address: no name is known, so only rules of addresses speak. */
function judgeDirect(policy: Policy, text: string, port: number | null): Judgement {
  if (port === DNS) {
    const message = `Port 53 of every address is the server's own resolver, which answers for names that the rules allow.`
    return { allowed: true, rule: 'resolver', message }
  }
  const judgement = policy.judgeAddress(text)
  if (!judgement.allowed || !policy.packets.byName || isNamed(policy, text)) return judgement
  if (port === 443) return { allowed: false, rule: 'name needed', message: nameNeeded(text) }
  if (port === DNS_OVER_TLS) return { allowed: false, rule: 'DNS over TLS', message: OVER_TLS }
  if (port !== null) return judgement
  return { ...judgement, message: `${judgement.message} On port 443 it is reached by a name only.` }
}

function judgeNamed(policy: Policy, { host, port }: Asked, address: string): Judgement {
  const pinned = port === null || NAMED_PORTS.includes(port) || policy.portsOf(host).includes(port)
  if (pinned) return policy.judgePinned(host, address)
  const direct = judgeDirect(policy, address, port)
  const byName = policy.judgePinned(host, address)
  if (direct.allowed || !byName.allowed || direct.rule === 'DNS over TLS') return direct
  const message = `Port ${port} of ${host} is refused: ${byName.rule} opens only ports ${openPorts(policy, host)}. Add "${host}:${port}" to "allow" in the network rules of this sandbox to open it.`
  return { allowed: false, rule: direct.rule, message }
}

function summary({ host, port }: Asked, byName: Judgement, judged: Judged[]): Judgement {
  const reached = judged.find(({ allowed }) => allowed)
  if (reached) return port === null || NAMED_PORTS.includes(port) ? byName : reached
  const [first] = judged
  if (first) return first
  const message = `${host} may be reached, but it has no address that may be: the name servers of this host know none.`
  return { allowed: false, rule: 'no address', message }
}

function openPorts(policy: Policy, name: string): string {
  const ports = [...NAMED_PORTS, ...policy.portsOf(name)]
  return `${ports.slice(0, -1).join(', ')} and ${ports.at(-1)}`
}

function isNamed(policy: Policy, text: string): boolean {
  const address = parseAddress(text) as Address
  const ranges = address.family === 4 ? policy.packets.named4 : policy.packets.named6
  return ranges.some((range) => covers(fromBytes(range), address))
}

function nameNeeded(address: string): string {
  return `HTTPS to ${address} is refused: these rules have names, and then a connection to port 443 needs one that is allowed. Use the host's name, or add "${address}" to "allow".`
}

const NO_IPV6: Judgement = {
  allowed: false,
  rule: 'no IPv6',
  message:
    'This host forwards no IPv6, so that its sandboxes have none. Use an IPv4 address; the operator can switch it on with net.ipv6.conf.all.forwarding=1.',
}

const OVER_TLS =
  'DNS over TLS is refused where rules have names, because it would hide them. Use ordinary DNS, which the server answers.'

function showDestination({ host, kind, port }: Asked): string {
  if (port === null) return host
  return kind === 'address' && host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function hostOf(text: string): Pick<Asked, 'host' | 'kind'> | null {
  const address = parseAddress(text)
  if (address !== null) return { kind: 'address', host: formatAddress(address) }
  const name = canonicalName(text)
  return name === null ? null : { kind: 'name', host: name }
}

function word({ allowed }: Judgement): 'allowed' | 'refused' {
  return allowed ? 'allowed' : 'refused'
}
