/**
 * What no sandbox reaches, whatever its rules say, unless the operator's `network.permit` and a rule both name it.
 * The firewall of the router holds the same ranges: a header for it is generated from these.
 */
export interface Reserved {
  /** CIDR, canonical. */
  readonly range: string
  /** The kind of address, in words that fit "… is a(n) <why>". */
  readonly why: string
}

/** Disjoint, ascending. */
export const RESERVED4: readonly Reserved[] = [
  { range: '0.0.0.0/8', why: 'address of this network' },
  { range: '10.0.0.0/8', why: 'private address' },
  { range: '100.64.0.0/10', why: 'carrier-grade NAT address' },
  { range: '127.0.0.0/8', why: 'loopback address' },
  { range: '168.63.129.16/32', why: 'metadata service' },
  { range: '169.254.0.0/16', why: 'link-local address' },
  { range: '172.16.0.0/12', why: 'private address' },
  { range: '192.0.0.0/24', why: 'reserved address' },
  { range: '192.0.2.0/24', why: 'documentation address' },
  { range: '192.88.99.0/24', why: '6to4 relay address' },
  { range: '192.168.0.0/16', why: 'private address' },
  { range: '198.18.0.0/15', why: 'benchmark address' },
  { range: '198.51.100.0/24', why: 'documentation address' },
  { range: '203.0.113.0/24', why: 'documentation address' },
  { range: '224.0.0.0/4', why: 'multicast address' },
  { range: '240.0.0.0/4', why: 'reserved address' },
]

/** Disjoint, ascending. All that is not global unicast (2000::/3), and the special parts of that. */
export const RESERVED6: readonly Reserved[] = [
  { range: '::/3', why: 'reserved address' },
  { range: '2001::/23', why: 'reserved address' },
  { range: '2001:db8::/32', why: 'documentation address' },
  { range: '2002::/16', why: '6to4 address' },
  { range: '3fff::/20', why: 'documentation address' },
  { range: '4000::/2', why: 'reserved address' },
  { range: '8000::/1', why: 'reserved address' },
]

/** Parts of the ranges above for which there is a better word. IPv4-mapped addresses count as what they map. */
export const SPECIAL: readonly Reserved[] = [
  { range: '::/128', why: 'unspecified address' },
  { range: '::1/128', why: 'loopback address' },
  { range: '64:ff9b::/96', why: 'NAT64 address' },
  { range: '64:ff9b:1::/48', why: 'NAT64 address' },
  { range: '2001::/32', why: 'Teredo address' },
  { range: 'fc00::/7', why: 'private address' },
  { range: 'fe80::/10', why: 'link-local address' },
  { range: 'fec0::/10', why: 'private address' },
  { range: 'ff00::/8', why: 'multicast address' },
]

/** Where clouds hand out credentials of the machine. A permitted range around one does not open it; only itself does. */
export const METADATA: readonly string[] = [
  '100.100.100.200',
  '168.63.129.16',
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '169.254.0.23',
  '192.0.0.192',
  'fd00:ec2::23',
  'fd00:ec2::254',
  'fd20:ce::254',
]
