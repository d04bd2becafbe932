import { SandboxError } from '@caisson/protocol/errors'

/**
 * Reads an address to listen on: `host:port`, `[ipv6]:port`, or a port of 127.0.0.1.
 * @throws SandboxError `host_not_ready`
 */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:(?:\[([0-9a-f:.]+)\]|([^:\s]+)):)?(\d{1,5})$/i.exec(address)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new SandboxError('host_not_ready', {
      what: `"${address}" is no address to listen on`,
      fix: 'Write host:port, such as 127.0.0.1:7330.',
    })
  }
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port }
}

/** As in a URL. */
export function formatAddress({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
