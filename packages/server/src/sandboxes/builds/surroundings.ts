import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { SandboxError } from '@caisson/protocol/errors'
import type { Config } from '../../config.ts'
import { formatAddress, parseAddress } from '../../core/network/address.ts'
import { canVouch, whyReserved } from '../../core/network/builtin.ts'
import { parseEntry } from '../../core/network/entry.ts'
import { article } from '../../core/network/messages.ts'
import { NAMED_PORTS } from '../../core/network/policy.ts'
import type { NetworkRecord } from '../../core/network/types.ts'
import { certificates } from '../../storage/images/certificates.ts'

/** What a builder sandbox can reach, and how its programs are told of it. */
export interface Surroundings {
  network: NetworkRecord & { vouched: string[] }
  env: Record<string, string>
  /** With credentials, as the operator wrote it; null: none. */
  proxy: string | null
  /** PEM text of all authorities to trust; null: those of the image. */
  certificates: string | null
}

/** Where builders have what is theirs alone; removed before anything is kept of them. */
export const BUILD_DIR = '/var/tmp/caisson-build'
export const CA_BUNDLE = `${BUILD_DIR}/certificates.pem`

/**
 * The network of a builder: these addresses of the operator's and nothing else, or his proxy alone.
 * @param sources URLs of mirrors and registries
 * @throws SandboxError `build_failed` for what no sandbox can reach
 */
export async function surroundingsOf(
  { build, network: { dns } }: Pick<Config, 'build' | 'network'>,
  sources: string[],
): Promise<Surroundings> {
  const { proxy, caFile } = build
  const find = finder(dns)
  const [reached, authorities] = await Promise.all([
    proxy === null ? Promise.all(sources.map((url) => named(url, find))) : [await addressed(proxy, find)],
    caFile === null ? null : certificates(caFile).catch((cause) => unusable('build.caFile', cause.message)),
  ])
  const allow = [...new Set(reached.flatMap(({ entries }) => entries))].sort()
  const vouched = [...new Set(reached.flatMap(({ addresses }) => addresses))].filter((text) =>
    canVouch(parseAddress(text)!),
  )
  return {
    network: { ...CLOSED, allow, vouched },
    env: environment(proxy, authorities !== null),
    proxy,
    certificates: authorities,
  }
}

const CLOSED: NetworkRecord = {
  default: 'deny',
  allow: [],
  deny: [],
  learn: false,
  uploadBytesPerSecond: null,
  downloadBytesPerSecond: null,
  connections: null,
}

/** No network. */
export const NO_SURROUNDINGS: Surroundings = {
  network: { ...CLOSED, vouched: [] },
  env: {},
  proxy: null,
  certificates: null,
}

interface Reached {
  entries: string[]
  addresses: string[]
}

/** A mirror or registry: by its name, which the doors check; by its address where it has no other name. */
async function named(text: string, find: Find): Promise<Reached> {
  const { host, port } = hostOf(text)
  const addresses = await addressesOf(host, find)
  if (isIP(host)) return { entries: [host], addresses }
  return { entries: [entry(NAMED_PORTS.includes(port) ? host : `${host}:${port}`, text)], addresses }
}

/** A proxy: by its addresses, because what is sent to it names others; its name, too, so that it can be found. */
async function addressed(text: string, find: Find): Promise<Reached> {
  const { host } = hostOf(text)
  const addresses = await addressesOf(host, find)
  const name = isIP(host) ? [] : [entry(host, text)]
  return { entries: [...name, ...addresses], addresses }
}

function hostOf(text: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(text)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  }
}

type Find = (host: string) => Promise<string[]>

/** Asks those that sandboxes' questions are passed on to. */
function finder(servers: string[]): Find {
  if (servers.length === 0)
    return async (host) => (await lookup(host, { all: true })).map(({ address }) => address)
  const resolver = new Resolver({ timeout: 5000, tries: 2 })
  resolver.setServers(servers)
  return async (host) => {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (found.length === 0) throw (answers[0] as PromiseRejectedResult).reason
    return found
  }
}

/** Those that a sandbox can reach, or could if somebody vouched for them. */
async function addressesOf(host: string, find: Find): Promise<string[]> {
  const found = isIP(host) ? [host] : await find(host).catch((cause) => unusable(host, cause.message))
  const addresses = found.map((text) => parseAddress(text.replace(/%.*$/, ''))!)
  const usable = addresses.filter((address) => whyReserved(address) === null || canVouch(address))
  if (usable.length > 0) return usable.map(formatAddress)
  const first = addresses[0]!
  return unusable(
    host,
    `${formatAddress(first)} is ${article(whyReserved(first)!)}, which no sandbox reaches`,
  )
}

function entry(text: string, url: string): string {
  const parsed = parseEntry(text)
  return typeof parsed === 'string' ? unusable(new URL(url).host, `it ${parsed}`) : parsed.text
}

function unusable(what: string, reason: string): never {
  throw new SandboxError('build_failed', {
    what: 'What was asked for',
    reason: `${what}, which the operator's settings name, cannot be reached or used by a builder sandbox`,
    log: reason,
  })
}

/** What programs of all kinds look for. Both cases: there is no agreement. */
function environment(proxy: string | null, hasCertificates: boolean): Record<string, string> {
  const proxies = [
    'http_proxy',
    'https_proxy',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'npm_config_proxy',
    'npm_config_https_proxy',
  ]
  const bundles = [
    'SSL_CERT_FILE',
    'CURL_CA_BUNDLE',
    'REQUESTS_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'NODE_EXTRA_CA_CERTS',
    'npm_config_cafile',
  ]
  return Object.fromEntries([
    ...(proxy === null ? [] : proxies.map((name) => [name, proxy])),
    ...(hasCertificates ? bundles.map((name) => [name, CA_BUNDLE]) : []),
  ])
}
