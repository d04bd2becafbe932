import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const openssl = (args: string[]) => promisify(execFile)('openssl', args)

export interface Certificates {
  /** Of the private authority. */
  ca: string
  cert: string
  key: string
}

/** A private authority and one certificate of it that is good for all these names and addresses. */
export async function makeCertificates(names: string[], addresses: string[]): Promise<Certificates> {
  const directory = await mkdtemp('/tmp/caisson-t-')
  await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) }
  const at = (name: string) => join(directory, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl([
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=Made-up authority'],
    ...['-keyout', at('ca.key'), '-out', at('ca.pem')],
  ])
  await openssl([
    'req',
    ...newKey,
    ...['-subj', '/CN=made-up', '-keyout', at('key.pem'), '-out', at('request.pem')],
  ])
  const alternatives = [...names.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)]
  await writeFile(at('extensions'), `subjectAltName=${alternatives.join(',')}\n`)
  await openssl([
    ...['x509', '-req', '-days', '2', '-in', at('request.pem'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-CAcreateserial', '-extfile', at('extensions'), '-out', at('cert.pem')],
  ])
  const read = (name: string) => readFile(at(name), 'utf8')
  return { ca: await read('ca.pem'), cert: await read('cert.pem'), key: await read('key.pem') }
}
