import { lookup } from 'node:dns/promises'
import { SandboxError } from '@caisson/protocol/errors'
import { parseAddress } from '../../core/network/address.ts'
import { whyReserved } from '../../core/network/builtin.ts'
import type { Context } from '../context.ts'

/** Finds the addresses of a name, as the program does that fetches the image. */
type Find = (host: string) => Promise<string[]>

const find: Find = async (host) => (await lookup(host, { all: true })).map(({ address }) => address)

/**
 * Refuses images of registries that only this host can reach: the server fetches images itself, and whoever may build
 * templates need not be allowed to look around in its network. Who may import can do it before.
 * @throws SandboxError `not_supported`
 */
export async function assertPublicRegistry(
  { config }: Pick<Context, 'config'>,
  reference: string,
  addresses: Find = find,
): Promise<void> {
  const host = hostOf(reference)
  // An operator's proxy decides by itself, and it alone may know the names.
  if (host === null || config.build.proxy !== null) return
  const found = isName(host) ? await addresses(host).catch((): string[] => []) : [host]
  const hidden = found.some((text) => {
    const address = parseAddress(text.replace(/%.*$/, ''))
    return address === null || whyReserved(address) !== null
  })
  if (!hidden) return
  const reason = `the registry ${host} is not a public one; import the image first ("caisson runtime import"), and build from that runtime`
  throw new SandboxError('not_supported', { what: `image "${reference}"`, reason })
}

/** null: the usual registry. As registries' clients read it: a first part with a dot or a port, or `localhost`, is a host. */
function hostOf(reference: string): string | null {
  const slash = reference.indexOf('/')
  const first = slash < 0 ? '' : reference.slice(0, slash)
  if (first !== 'localhost' && !/[.:]/.test(first)) return null
  return first.replace(/:\d+$/, '')
}

function isName(host: string): boolean {
  return parseAddress(host) === null
}
