import type { ServerInfo } from 'caisson'
import { LocalFailure } from './failure.ts'

/** Clients of others, to whom a key can be told in their own variables. */
export const CLIENTS = ['e2b', 'moru'] as const
export type ForeignClient = (typeof CLIENTS)[number]

/**
 * The variables by which a client of E2B or Moru comes to this server.
 *
 * @throws LocalFailure when the server listens on no TCP port
 */
export function variablesFor(
  client: ForeignClient,
  key: string,
  { url, previewDomain }: Pick<ServerInfo, 'url' | 'previewDomain'>,
): Record<string, string> {
  if (url === null) throw noListener()
  const { origin, port } = new URL(url)
  const domain = port === '' ? previewDomain : `${previewDomain}:${port}`
  const prefix = client.toUpperCase()
  return {
    [`${prefix}_API_KEY`]: key,
    [`${prefix}_API_URL`]: origin,
    [`${prefix}_SANDBOX_URL`]: origin,
    // Moru's client has no other address for the files of volumes.
    ...(client === 'e2b' && { E2B_VOLUME_API_URL: origin }),
    [`${prefix}_DOMAIN`]: domain,
  }
}

export const noListener = (): LocalFailure =>
  new LocalFailure(
    'These clients come by TCP, and the server listens on no TCP port: "caisson serve --listen <host:port>" gives it one.',
  )

/** For `eval` in a shell. */
export const exportLines = (variables: Record<string, string>): string =>
  Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`)
    .join('\n')
