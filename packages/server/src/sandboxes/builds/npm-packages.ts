import { SandboxError } from '@caisson/protocol/errors'
import {
  chooseVersion,
  type Distribution,
  PACKUMENT_TYPE,
  packumentUrl,
} from '../../storage/images/npm-registry.ts'
import { npmPackage } from '../../storage/images/package-names.ts'
import type { Unpack } from '../../storage/images/recipe.ts'
import type { Builder } from './builder.ts'
import type { Progress } from './shared.ts'
import { BUILD_DIR } from './surroundings.ts'

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
    `Accept: ${PACKUMENT_TYPE}`,
    packumentUrl(registry, name),
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

/** @throws SandboxError `build_failed` */
function choose(
  builder: Builder,
  registry: string,
  name: string,
  wanted: string,
  text: string,
): Distribution {
  try {
    return chooseVersion(registry, name, wanted, text)
  } catch (error) {
    throw builder.failed((error as Error).message, name)
  }
}
