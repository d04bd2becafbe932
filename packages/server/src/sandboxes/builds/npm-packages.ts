import { SandboxError } from '@caisson/protocol/errors'
import { z } from 'zod'
import { npmPackage } from '../../storage/images/package-names.ts'
import type { Unpack } from '../../storage/images/recipe.ts'
import type { Builder } from './builder.ts'
import type { Progress } from './shared.ts'
import { BUILD_DIR } from './surroundings.ts'

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

const ACCEPT = 'Accept: application/vnd.npm.install-v1+json'

/** $1 URL, $2 SHA-512 in hex, $3 where to, $4 … chosen files */
const UNPACK = `
dir=$1 url=$2 sum=$3 into=$4; shift 4
mkdir -p "$dir" "$into"
curl -fsSL --retry 2 --max-time 900 -o "$dir/package.tgz" "$url"
echo "$sum  $dir/package.tgz" | sha512sum -c --quiet -
tar -xzf "$dir/package.tgz" -C "$into" --strip-components=1 --no-same-owner --wildcards "$@"
rm "$dir/package.tgz"
`

/** $1 link, $2 target */
const LINK = 'mkdir -p "$(dirname "$1")" && chmod 755 "$2" && ln -sfn "$2" "$1"'

/** Unpacks a package as it is, after its digest was checked: the registry's word, got by TLS where it has that. */
export async function unpackPackage(
  builder: Builder,
  registry: string,
  { package: pattern, version, into, only, links }: Unpack,
  progress: Progress,
): Promise<void> {
  const name = pattern.replace('{arch}', process.arch)
  progress(`unpacking ${name}@${version}`)
  const text = await builder.run([
    'curl',
    '-fsSL',
    '--retry',
    '2',
    '--max-time',
    '300',
    '-H',
    ACCEPT,
    urlOf(registry, name),
  ])
  const { version: found, url, sha512 } = choose(builder, registry, name, version, text)
  const chosen = only === undefined ? ['*'] : only.map((path) => `*/${path}`)
  await builder.script(UNPACK, [BUILD_DIR, url, sha512, into, ...chosen])
  for (const [path, target] of Object.entries(links)) await builder.script(LINK, [path, target])
  progress(`unpacked ${name}@${found}`)
}

/** Installs packages for all users, with npm or, where there is none, with bun. Their scripts run, here and nowhere else. */
export async function installNpm(
  builder: Builder,
  registry: string,
  packages: string[],
  progress: Progress,
): Promise<void> {
  const has = (command: string) => builder.succeeds(['/bin/sh', '-c', `command -v ${command}`])
  const npm = await has('npm')
  if (!npm && !(await has('bun')))
    throw new SandboxError('not_supported', {
      what: 'packages',
      reason:
        'the runtime has neither npm nor bun; use node:lts or bun:1, or name both nodejs and npm as dependencies',
    })
  progress(`installing npm packages: ${packages.join(' ')}`)
  const env = {
    npm_config_registry: registry,
    npm_config_cache: `${BUILD_DIR}/npm`,
    npm_config_update_notifier: 'false',
    npm_config_fund: 'false',
    npm_config_audit: 'false',
    npm_config_prefix: '/usr/local',
    // npm 12 runs no scripts but those of packages that are named here; before it, all run.
    npm_config_allow_scripts: packages.map((text) => npmPackage(text)?.name).join(','),
    BUN_CONFIG_REGISTRY: registry,
    BUN_INSTALL_GLOBAL_DIR: '/usr/local/lib/bun',
    BUN_INSTALL_BIN: '/usr/local/bin',
    BUN_INSTALL_CACHE_DIR: `${BUILD_DIR}/bun`,
    HOME: BUILD_DIR,
  }
  const argv = npm ? ['npm', 'install', '--global', '--no-progress', '--'] : ['bun', 'add', '--global', '--']
  await builder.script('mkdir -p "$1"', [BUILD_DIR])
  await builder.run([...argv, ...packages], { env })
}

/** As npm writes it: the slash of a scope is part of the name. */
function urlOf(registry: string, name: string): string {
  return new URL(name.replace('/', '%2f'), directory(registry)).href
}

function directory(url: string): string {
  return url.endsWith('/') ? url : `${url}/`
}

function choose(builder: Builder, registry: string, name: string, wanted: string, text: string) {
  const packument = parse(builder, name, text)
  const version = packument['dist-tags'][wanted] ?? newest(packument, wanted)
  const dist = version === undefined ? undefined : packument.versions[version]?.dist
  if (version === undefined || dist === undefined)
    throw builder.failed(`the registry has no ${name}@${wanted}`, name)
  const sha512 = /(?:^|\s)sha512-([A-Za-z0-9+/]{86}==)/.exec(dist.integrity ?? '')?.[1]
  if (sha512 === undefined) throw builder.failed(`the registry has no SHA-512 of ${name}@${version}`, name)
  // Registries that mirror others may tell the other's address, which a builder does not reach.
  const isHere = new URL(dist.tarball).host === new URL(registry).host
  const file = `${name}/-/${npmPackage(name)!.name.replace(/^.*\//, '')}-${version}.tgz`
  const url = isHere ? dist.tarball : new URL(file, directory(registry)).href
  return { version, url, sha512: Buffer.from(sha512, 'base64').toString('hex') }
}

function parse(builder: Builder, name: string, text: string): Packument {
  try {
    return Packument.parse(JSON.parse(text))
  } catch (cause) {
    throw builder.failed(
      `what the registry says of ${name} cannot be read`,
      (cause as Error).message.slice(0, 500),
    )
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
