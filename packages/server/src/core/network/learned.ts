import { NAMED_PORTS } from './policy.ts'

/** A place that was connected to. */
export interface Used {
  /** Canonical; '' when it is not known. */
  readonly name: string
  readonly address: string
  /** 0 where the protocol has none. */
  readonly port: number
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'other'
}

/** Goes to the server's own resolver, wherever it was sent, and needs no rule. */
const DNS = 53

/**
 * The shortest allow list that lets pass what was used: names, which open HTTP and TLS, names with a port for other
 * ports, and addresses where there is no name or no port that an entry could give.
 */
export function learned(destinations: readonly Used[]): string[] {
  const entries = new Set(destinations.filter(({ port }) => port !== DNS).map(entryOf))
  // A name with a port opens HTTP and TLS as well.
  for (const entry of [...entries]) {
    const [, name] = /^([^:]+):\d+$/.exec(entry) ?? []
    if (name !== undefined) entries.delete(name)
  }
  return [...entries].sort()
}

function entryOf({ name, address, port, protocol }: Used): string {
  if (name === '' || port === 0 || (protocol !== 'tcp' && protocol !== 'udp')) return address
  return protocol === 'tcp' && NAMED_PORTS.includes(port) ? name : `${name}:${port}`
}
