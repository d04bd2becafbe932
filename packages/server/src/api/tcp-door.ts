import { formatAddress } from '../address.ts'
import { type Config, DEFAULT_LISTEN } from '../config.ts'
import type { Log } from '../log.ts'
import { Certificate } from './certificate.ts'
import type { Listeners } from './listeners.ts'

/** The TCP listener, and the URL under which clients reach it. */
export interface TcpDoor {
  address: { host: string; port: number }
  url: string
}

/**
 * Opens the TCP listener that the configuration asks for. Nobody asked for the default address, so that another
 * server's having it is no reason not to start.
 * @returns null without one
 * @throws SandboxError `host_not_ready`
 */
export async function openTcp(
  listeners: Listeners,
  { listen, publicUrl, tls }: Pick<Config, 'listen' | 'publicUrl' | 'tls'>,
  log: Log,
): Promise<TcpDoor | null> {
  if (listen === null) return null
  const certificate = tls === null ? undefined : new Certificate(tls, log)
  try {
    const address = await listeners.listenTcp(listen, certificate)
    const scheme = tls === null ? 'http' : 'https'
    return { address, url: publicUrl ?? `${scheme}://${formatAddress(address)}` }
  } catch (err) {
    if (listen !== DEFAULT_LISTEN) throw err
    log.warn(
      { err },
      'the API is at its unix socket alone, and ports have no address: the default one is taken',
    )
    return null
  }
}
