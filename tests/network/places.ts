/** The made-up internet: who has which address, and what its name servers say. Nothing of it exists outside of tests. */

/** Hosts that the public internet has; all are in the namespace `internet`. */
export const PUBLIC = {
  example: { v4: '93.184.216.34', v6: '2606:2800:220:1::1' },
  other: { v4: '151.101.1.6', v6: '2a04:4e42::6' },
  evil: { v4: '45.33.32.156', v6: '2600:3c01::bad' },
  /** Name servers with DNS, DNS over TLS and DNS over HTTPS, which are not those of the operator. */
  google: { v4: '8.8.8.8', v6: '2001:4860:4860::8888' },
  cloudflare: { v4: '1.1.1.1', v6: '2606:4700:4700::1111' },
  /** The operator's name server: what `config.network.dns` names. */
  upstream: { v4: '198.41.0.4', v6: '2001:503:ba3e::2:30' },
} as const

/** Hosts that only the Caisson host can reach; all are in the namespace `lan`. No sandbox may, whatever its rules. */
export const PRIVATE = {
  lan: '10.20.0.5',
  home: '192.168.77.5',
  office: '172.16.5.5',
  cgnat: '100.64.0.9',
  metadata: '169.254.169.254',
  alibaba: '100.100.100.200',
  azure: '168.63.129.16',
} as const
export const PRIVATE6 = { ula: 'fd20::5', metadata6: 'fd00:ec2::254' } as const

/** The Caisson host itself. */
export const HOST = {
  wan4: '93.115.0.2',
  wan6: '2a00:1450:1::2',
  lan4: '10.20.0.1',
  lan6: 'fd20::1',
} as const

/** Ports of every host. `early` speaks before it is spoken to, `ticks` sends a line every 20 ms for ever. */
export const PORTS = {
  tcpEcho: [7, 22, 9000, 9443],
  early: 25,
  ticks: 9001,
  /** Sends bytes without an end, or takes them. */
  flood: 9002,
  http: [80, 8080],
  https: [443, 8443],
  dot: 853,
  udpEcho: [123, 443, 853, 9000],
  dns: 53,
} as const

export type DnsRecord =
  | { type: 'A' | 'AAAA' | 'CNAME'; data: string; ttl?: number }
  | { type: 'TXT'; data: string[]; ttl?: number }

const a = (data: string, ttl = 300): DnsRecord => ({ type: 'A', data, ttl })
const aaaa = (data: string, ttl = 300): DnsRecord => ({ type: 'AAAA', data, ttl })
const cname = (data: string): DnsRecord => ({ type: 'CNAME', data, ttl: 300 })
const both = (place: { v4: string; v6: string }) => [a(place.v4), aaaa(place.v6)]

/** What a name server answers; a list of answers is gone through query by query and then from its start again. */
export const ZONE: Record<string, DnsRecord[] | { turns: DnsRecord[][] }> = {
  'example.com': both(PUBLIC.example),
  'www.example.com': both(PUBLIC.example),
  'api.example.com': both(PUBLIC.example),
  'a.b.example.com': both(PUBLIC.example),
  'v4only.example.com': [a(PUBLIC.example.v4)],
  'cdn.example.com': [cname('edge.other.test')],
  'other.test': both(PUBLIC.other),
  'edge.other.test': [a(PUBLIC.other.v4)],
  'google.test': both(PUBLIC.google),
  'evil.test': both(PUBLIC.evil),
  'www.evil.test': both(PUBLIC.evil),
  'private.evil.test': [a(PRIVATE.lan, 0), aaaa(PRIVATE6.ula, 0)],
  'meta.evil.test': [a(PRIVATE.metadata, 0), aaaa(PRIVATE6.metadata6, 0)],
  'metadata.google.internal': [a(PRIVATE.metadata)],
  'mapped.evil.test': [aaaa('::ffff:10.20.0.5'), aaaa('64:ff9b::a14:5')],
  'zero.evil.test': [a('0.0.0.0'), aaaa('::')],
  'loop.evil.test': [a('127.0.0.1'), aaaa('::1')],
  'mixed.evil.test': [a(PRIVATE.lan, 0), a(PUBLIC.evil.v4, 0), a(PRIVATE.metadata, 0)],
  'alias.evil.test': [cname('private.evil.test')],
  'flip.evil.test': { turns: [[a(PUBLIC.evil.v4, 0)], [a(PRIVATE.lan, 0)]] },
  'txt.evil.test': [{ type: 'TXT', data: Array.from({ length: 40 }, () => 'x'.repeat(250)), ttl: 0 }],
  'many.evil.test': Array.from({ length: 200 }, (_, n) => a(`45.33.33.${n + 1}`, 0)),
}

/** A name below one of these that the zone does not list is answered with the parent's own answer. */
export const WILDCARDS = ['tunnel.evil.test', 'any.example.com'] as const
ZONE['tunnel.evil.test'] = [a(PUBLIC.evil.v4, 0)]
ZONE['any.example.com'] = both(PUBLIC.example)

/** One thing that a server of the made-up internet saw. */
export interface Seen {
  /** The address that was spoken to. */
  address: string
  port: number
  kind: 'tcp' | 'udp' | 'dns' | 'http' | 'tls'
  /** The peer. */
  from: string
  /** The name asked for, the Host, or the SNI. */
  name: string | null
  /** Of DNS the type, of HTTP method and URL, of UDP the bytes as text. */
  what: string
}
