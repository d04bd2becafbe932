/** What the parts say to one another about the network of a sandbox. Pure types: no I/O, no defaults. */

/** The rules of one sandbox as they are remembered: canonical entries, sorted, without repetition. */
export interface NetworkRecord {
  default: 'allow' | 'deny'
  allow: string[]
  deny: string[]
  learn: boolean
  uploadBytesPerSecond: number | null
  downloadBytesPerSecond: number | null
  connections: number | null
  /**
   * Reserved addresses of what the operator's own configuration names, such as a mirror: names may lead there. Only
   * for sandboxes that build; never from a request.
   */
  vouched?: string[]
}

/** First and last address of a range, both included; 4 or 16 bytes. */
export interface AddressRange {
  first: Uint8Array
  last: Uint8Array
}

/** What the kernel is told: disjoint ranges in ascending order. Names never reach it; their addresses do, as pins. */
export interface PacketRules {
  allow4: AddressRange[]
  allow6: AddressRange[]
  /** Of them, those that entries name: their HTTP and TLS needs no name. */
  named4: AddressRange[]
  named6: AddressRange[]
  /** Names decide: TCP 80 and 443 go through the server, which checks the name; QUIC and DNS over TLS are refused. */
  byName: boolean
}

/** An address that a name stood for, and may be reached at these ports for so long. */
export interface Pin {
  address: string
  port: number
  seconds: number
}

export interface Judgement {
  allowed: boolean
  /** The entry or the built-in rule that decided: `allow *.example.com`, `deny 1.2.3.0/24`, `default deny`, `private address`. */
  rule: string
  /** Why, and what would change it, in a sentence that a model can act on. */
  message: string
}

/** The compiled rules of one sandbox. */
export interface Policy {
  readonly packets: PacketRules
  /** Whether this name may be resolved and be reached by TLS or HTTP. @param name canonical */
  judgeName(name: string): Judgement
  /** Ports beside 80 and 443 at which a name may be reached; none for most. */
  portsOf(name: string): number[]
  /** A destination by its address alone. Built-in blocks come first. */
  judgeAddress(address: string): Judgement
  /** The address of a name that is allowed: refused where it is blocked whatever the rules say, or where an entry denies this very address. */
  judgePinned(name: string, address: string): Judgement
}

/** Something that a sandbox tried, as it was seen by the resolver, by a proxy or in a packet. */
export interface Observation {
  verdict: 'allowed' | 'refused'
  protocol: 'tcp' | 'udp' | 'icmp' | 'dns' | 'tls' | 'http' | 'other'
  name: string | null
  address: string | null
  port: number | null
  rule: string
  message: string
  /** Whose socket tried it, while that is open: its port in the sandbox. */
  source?: { protocol: 'tcp' | 'udp'; port: number }
  /** Of a connection that has ended; it was told once without them when it began. */
  bytes?: { up: number; down: number }
}

/** Where the router of this server is, once it is up. */
export interface RouterFacts {
  /** The server's own end of the uplink, where the resolver and the proxies listen. */
  address4: string
  /** null: this host forwards no IPv6, and sandboxes get none. */
  address6: string | null
}

/** The addresses that a plugged sandbox has. */
export interface Plugged {
  address4: string
  address6: string | null
}

/** The first packet of something: refused, or new and allowed. Bytes of a guest: hostile. */
export interface Packet {
  sandbox: string
  kind: 'refused' | 'connections' | 'quic' | 'new'
  /** The beginning of the IP packet. */
  data: Uint8Array
}

/** Where the resolver and the proxies listen at the router's uplink; the table sends there what sandboxes mean for others. */
export const ROUTER_PORTS = { dns: 10_053, http: 10_080, tls: 10_443 } as const
