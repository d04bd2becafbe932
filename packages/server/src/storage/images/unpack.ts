import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { AptSettings } from './debian.ts'
import { chooseVersion, PACKUMENT_TYPE, packumentUrl } from './npm-registry.ts'
import type { Unpack } from './recipe.ts'

const run = promisify(execFile)

/** What a registry says of one package, at most, in bytes. */
const MAX_PACKUMENT = 64 * 2 ** 20
/** A package file, at most, in bytes. */
const MAX_PACKAGE = 2 ** 30

/** Where packages come from, and how it is reached. */
export interface Registry extends AptSettings {
  registry: string
}

/** $1 where to, $2 how many links, then path and target of each, then the chosen files */
const UNPACK = `
into=$1 links=$2; shift 2
mkdir -p "$into"
list=""
while [ "$links" -gt 0 ]; do
  list="$list $1 $2"; shift 2; links=$((links - 1))
done
tar -xz -C "$into" --strip-components=1 --no-same-owner --no-same-permissions --wildcards "$@"
set -- $list
while [ $# -gt 0 ]; do
  mkdir -p "$(dirname "$1")"; chmod 755 "$2"; ln -sfn "$2" "$1"; shift 2
done
`

/** What tar needs to write as root; no more, so that a package can make neither devices nor mounts. */
const CAPABILITIES = '-all,+chown,+dac_override,+fowner'

/**
 * Unpacks a package of an npm registry into a tree, after its digest was checked: the registry's word, got by TLS where it
 * has that. Nothing of it is run, and it is opened by the tree's own tar with the tree as its root, so that no name in it
 * leads out.
 * @param work a directory for the time of the build
 */
export async function unpackInto(
  rootfs: string,
  { package: pattern, version, into, only, links }: Unpack,
  source: Registry,
  work: string,
  { progress }: { progress: (step: string) => void },
  signal?: AbortSignal,
): Promise<void> {
  const name = pattern.replace('{arch}', process.arch)
  progress(`unpacking ${name}@${version}`)
  const about = ['-H', `Accept: ${PACKUMENT_TYPE}`, packumentUrl(source.registry, name)]
  const text = await curl(source, ['--max-time', '300', ...about], signal)
  const found = chooseVersion(source.registry, name, version, text)
  const file = join(work, 'package.tgz')
  await curl(source, ['--max-time', '900', '--max-filesize', `${MAX_PACKAGE}`, '-o', file, found.url], signal)
  await assertDigest(file, found.sha512)
  const pairs = Object.entries(links)
  const chosen = only === undefined ? ['*'] : only.map((path) => `*/${path}`)
  await extract(rootfs, file, [into, `${pairs.length}`, ...pairs.flat(), ...chosen], signal)
  await rm(file)
  progress(`unpacked ${name}@${found.version}`)
}

/** The proxy on stdin and not in argv, which every user can read: its address may hold a password. */
async function curl({ proxy, caFile }: Registry, args: string[], signal?: AbortSignal): Promise<string> {
  const trusted = caFile === null ? [] : ['--cacert', caFile]
  const running = run('curl', ['-K', '-', '-fsSL', '--retry', '2', ...trusted, ...args], {
    maxBuffer: MAX_PACKUMENT,
    ...(signal && { signal }),
  })
  // A curl that ends early says why by its status.
  running.child.stdin!.on('error', () => {})
  running.child.stdin!.end(proxy === null ? '' : `proxy = ${JSON.stringify(proxy)}\n`)
  return (await running).stdout
}

async function assertDigest(file: string, sha512: string): Promise<void> {
  const hash = createHash('sha512')
  await pipeline(createReadStream(file), hash)
  if (hash.digest('hex') !== sha512)
    throw new Error('the package is not what the registry says: its SHA-512 is another')
}

async function extract(rootfs: string, file: string, args: string[], signal?: AbortSignal): Promise<void> {
  await using input = await open(file)
  const argv = [
    ...['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--net', '--fork'],
    ...['--kill-child=KILL', `--root=${rootfs}`, '--wd=/'],
    ...['setpriv', '--no-new-privs', '--inh-caps=-all', `--bounding-set=${CAPABILITIES}`],
    ...['sh', '-euc', `umask 022\n${UNPACK}`, 'unpack', ...args],
  ]
  const child = spawn(argv[0]!, argv.slice(1), {
    stdio: [input.fd, 'ignore', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    killSignal: 'SIGKILL',
    ...(signal && { signal }),
  })
  const said: Buffer[] = []
  child.stderr!.on('data', (data) => said.push(data))
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`unpacking ended with ${code}: ${Buffer.concat(said).toString().slice(-500)}`))
    })
  })
}
