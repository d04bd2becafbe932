import { readFileSync } from 'node:fs'
import { SandboxError } from '@caisson/protocol/errors'
import { formatAddress, parseAddress } from '../../core/network/address.ts'
import { parseDestination } from '../../core/network/explain.ts'

export interface NameServer {
  readonly address: string
  readonly port: number
}

const DNS = 53

/** What is asked when the host names none, as resolv.conf(5) has it. */
const LOCAL: readonly string[] = ['127.0.0.1']

/** The name servers of this host, as texts. Stubs that listen on loopback are as good as any: the server asks them, not the sandbox. */
export function systemNameServers(file = '/etc/resolv.conf'): string[] {
  const found = readText(file)
    .split('\n')
    .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((text) => parseAddress(text.replace(/%.*$/, '')) !== null)
  return found.length > 0 ? found.slice(0, 3) : [...LOCAL]
}

/**
 * `address` or `address:port`; a zone (`fe80::1%eth0`) is kept.
 * @throws SandboxError `invalid_request`
 */
export function parseNameServer(text: string, path: string): NameServer {
  const [, bare = '', zone] = /^([0-9a-f:.]+)(%[\w.-]+)$/i.exec(text) ?? []
  const zoned = parseAddress(bare)
  if (zoned !== null && zone !== undefined) return { address: `${formatAddress(zoned)}${zone}`, port: DNS }
  const { kind, host, port } = parseDestination(text, path)
  if (kind === 'address') return { address: host, port: port ?? DNS }
  throw new SandboxError('invalid_request', {
    issues: [
      {
        path,
        message: `${JSON.stringify(text)} is no address of a name server such as "192.0.2.53" or "192.0.2.53:5353"`,
      },
    ],
  })
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // A host without this file has the default.
    return ''
  }
}
