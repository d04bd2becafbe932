import { z } from 'zod'
import { npmPackage } from './package-names.ts'

/** Of what a registry says about a package, what counts here. Comes from outside: nothing of it is taken on trust. */
const Packument = z.object({
  'dist-tags': z.record(z.string(), z.string()).default({}),
  versions: z.record(
    z.string(),
    z.object({
      dist: z.object({ tarball: z.url({ protocol: /^https?$/ }), integrity: z.string().optional() }),
    }),
  ),
})
type Packument = z.infer<typeof Packument>

/** Asked for by those who only install: a tenth of the whole. */
export const PACKUMENT_TYPE = 'application/vnd.npm.install-v1+json'

/** A package file and what it must be. */
export interface Distribution {
  version: string
  url: string
  /** In hex. */
  sha512: string
}

/** Where a registry tells of a package; as npm writes it, the slash of a scope is part of the name. */
export function packumentUrl(registry: string, name: string): string {
  return new URL(name.replace('/', '%2f'), directory(registry)).href
}

/**
 * Chooses from what a registry says of a package.
 * @param wanted a tag, or the numbers that the version begins with
 * @param text what `packumentUrl` answered
 * @throws Error that says what is missing
 */
export function chooseVersion(registry: string, name: string, wanted: string, text: string): Distribution {
  const packument = parse(name, text)
  const version = packument['dist-tags'][wanted] ?? newest(packument, wanted)
  const dist = version === undefined ? undefined : packument.versions[version]?.dist
  if (version === undefined || dist === undefined) throw new Error(`the registry has no ${name}@${wanted}`)
  const sha512 = /(?:^|\s)sha512-([A-Za-z0-9+/]{86}==)/.exec(dist.integrity ?? '')?.[1]
  if (sha512 === undefined) throw new Error(`the registry has no SHA-512 of ${name}@${version}`)
  // Registries that mirror others may tell the other's address, which a builder does not reach.
  const isHere = new URL(dist.tarball).host === new URL(registry).host
  const file = `${name}/-/${npmPackage(name)!.name.replace(/^.*\//, '')}-${version}.tgz`
  const url = isHere ? dist.tarball : new URL(file, directory(registry)).href
  return { version, url, sha512: Buffer.from(sha512, 'base64').toString('hex') }
}

function directory(url: string): string {
  return url.endsWith('/') ? url : `${url}/`
}

function parse(name: string, text: string): Packument {
  try {
    return Packument.parse(JSON.parse(text))
  } catch (cause) {
    const reason = (cause as Error).message.slice(0, 500)
    throw new Error(`what the registry says of ${name} cannot be read: ${reason}`, { cause })
  }
}

/** The highest release whose version begins with these numbers. */
function newest({ versions }: Packument, prefix: string): string | undefined {
  const releases = Object.keys(versions).filter(
    (version) => /^\d+\.\d+\.\d+$/.test(version) && `${version}.`.startsWith(`${prefix}.`),
  )
  return releases.sort(compareVersions).at(-1)
}

function compareVersions(a: string, b: string): number {
  const [x, y] = [a.split('.').map(Number), b.split('.').map(Number)]
  return x.map((part, i) => part - (y[i] ?? 0)).find((difference) => difference !== 0) ?? 0
}
