import { type Client, type ExposedPort, type PortLink, Ports, type SandboxInfo } from 'caisson'
import { note } from './stdio.ts'
import { printable } from './table.ts'

/** An exposed port, and for one that is private a link that opens it. */
export type OpenPort = ExposedPort & { link: PortLink | null }

/** What a person needs to open these ports; a link is made for each that is private. */
export async function openPorts(
  client: Client,
  sandbox: string,
  exposed: readonly ExposedPort[],
): Promise<OpenPort[]> {
  const ports = new Ports(client, sandbox)
  const links = exposed.map(({ port, access }) => (access === 'private' ? ports.link(port) : null))
  const made = await Promise.all(links)
  return exposed.map((each, at) => ({ ...each, link: made[at] ?? null }))
}

/** The address to open: of a private port, its link. */
export const addressOf = ({ url, link }: OpenPort): string | null => link?.url ?? url

/** Says where the ports are, beside the answer. */
export function tellPorts(ports: readonly OpenPort[]): void {
  for (const each of ports) {
    const until = each.link ? `, the link is good until ${each.link.expiresAt}` : ''
    const address = addressOf(each)
    note(`port ${each.port} (${each.access}${until}): ${address === null ? NO_LISTENER : printable(address)}`)
  }
}

export const NO_LISTENER =
  'the server listens on no TCP port, so it has no address; "caisson serve --listen <host:port>" gives it one'

/** The ports of a sandbox in one line each, for people. */
export const portLines = ({ ports }: Pick<SandboxInfo, 'ports'>): string[] =>
  ports.map(({ port, access, url }) => `${port} ${access}${url === null ? '' : `  ${url}`}`)
