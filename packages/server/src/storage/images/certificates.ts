import { readFile } from 'node:fs/promises'

/** Where Debian, Alpine and Fedora keep the authorities that the host trusts. */
const HOST_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt']

/**
 * The certificate authorities of the host and those of the operator's file, as PEM text: a tool that is given a file
 * trusts nothing else.
 * @throws Error that names the file when it cannot be read or has no certificate in it.
 */
export async function certificates(caFile: string): Promise<string> {
  const own = await readFile(caFile, 'utf8').catch((cause) => {
    throw new Error(`the file of build.caFile cannot be read: ${(cause as Error).message}`, { cause })
  })
  if (!own.includes('-----BEGIN CERTIFICATE-----'))
    throw new Error(`the file of build.caFile, ${caFile}, has no PEM certificate in it`)
  const host = await Promise.all(HOST_BUNDLES.map((path) => readFile(path, 'utf8').catch(() => '')))
  const all = [own, ...host].join('\n').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
  return `${[...new Set(all)].join('\n')}\n`
}
