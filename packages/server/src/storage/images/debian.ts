import {
  type ChildProcess,
  type ChildProcessByStdio,
  execFile,
  type StdioOptions,
  spawn,
} from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { hostMirrors, sourceLines } from './mirror.ts'
import type { DebianRecipe } from './recipe.ts'

/** The steps worth telling a person who waits, by the tool's own word for them. */
const PHASES = [
  'apt-get update',
  'downloading packages',
  'extracting archives',
  'installing essential',
  'installing remaining',
]

const TRIMMED = ['man', 'info', 'doc', 'locale', 'lintian', 'bug'].map((name) => `/usr/share/${name}`)

/** How apt reaches the mirrors while a tree is made. */
export interface AptSettings {
  /** null: as the host's apt does. */
  proxy: string | null
  /** PEM file of all authorities to trust; null: as the host's apt does. */
  caFile: string | null
}

/**
 * Makes a Debian tree with mmdebstrap, as root.
 * @param target a directory that does not exist yet; on failure some of it may be there.
 * @param how `log` receives everything that the tools say; `phase` is called with each step as it begins.
 * @throws Error when mmdebstrap cannot be started or fails; the log has the reason.
 */
export async function debootstrap(
  recipe: DebianRecipe,
  target: string,
  { log, phase, apt }: { log: FileHandle; phase: (text: string) => void; apt: AptSettings },
  signal?: AbortSignal,
): Promise<void> {
  const { suite, components } = recipe.debian
  const aptOptions = [...(await hostAptOptions()), ...operatorAptOptions(apt)]
  const options = [...mmdebstrapOptions(recipe), ...aptOptions.map((option) => `--aptopt=${option}`)]
  // A mount and pid namespace of its own: whatever ends the build, no mount and no process of the chroot is left.
  const [command, ...args] = [
    ...['setpriv', '--pdeathsig', 'KILL'],
    ...['unshare', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'],
    ...['sh', '-c', 'umask 022 && exec "$@"', 'sh'],
    ...['mmdebstrap', ...options, suite, target, '-'],
  ]
  // On stdin and not in argv: a mirror's address may hold a password, and every user can read argv.
  const sources = sourceLines(await hostMirrors(), suite, components)
  const stdio: StdioOptions = ['pipe', log.fd, 'pipe']
  const child = spawn(command!, args, {
    stdio,
    // unshare ignores SIGTERM; when it is killed, everything in its namespace is.
    killSignal: 'SIGKILL',
    ...(signal && { signal }),
  }) as ChildProcessByStdio<Writable, null, Readable>
  // A build that dies early closes its stdin; the exit status says why, so the write's own error adds nothing.
  child.stdin.on('error', () => {})
  child.stdin.end(`${sources.join('\n')}\n`)
  await Promise.all([ended(child), follow(child.stderr, log, phase)])
}

/** Settles once every process of the build is gone, so that the tree can then be removed. */
function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: Error | undefined
    child.once('error', (error) => {
      failure = error
    })
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(failure ?? new Error(`mmdebstrap ended with ${code}`))
    })
  })
}

async function follow(stderr: Readable, log: FileHandle, phase: (text: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stderr })) {
    await log.write(`${line}\n`)
    const step = /^I: (.*?)\.*$/.exec(line)?.[1]
    if (step && PHASES.some((name) => step.includes(name))) phase(step)
  }
}

function mmdebstrapOptions({ debian, user }: DebianRecipe): string[] {
  const useradd = `useradd --uid ${user.uid} --user-group --create-home --home-dir ${user.home} --shell ${user.shell}`
  return [
    '--mode=root',
    '--format=directory',
    '--variant=minbase',
    `--include=${debian.packages.join(',')}`,
    // The target's parent belongs to root alone, so that apt's unprivileged download user cannot reach it.
    '--aptopt=APT::Sandbox::User "root"',
    ...TRIMMED.map((path) => `--dpkgopt=path-exclude=${path}/*`),
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    `--customize-hook=chroot "$1" ${useradd} ${user.name}`,
  ]
}

/** After the host's own, so that they win. */
function operatorAptOptions({ proxy, caFile }: AptSettings): string[] {
  const options = (value: string, names: string[]) => names.map((name) => `Acquire::${name} "${value}";`)
  return [
    ...(proxy === null ? [] : options(proxy, ['http::Proxy', 'https::Proxy'])),
    ...(caFile === null ? [] : options(caFile, ['https::CAInfo'])),
  ]
}

/**
 * The host's own settings of apt that say how its mirrors are reached and how old their lists may be, which mmdebstrap
 * does not read by itself: who uses a mirror that stands still has said so there.
 */
async function hostAptOptions(): Promise<string[]> {
  const options = await hostAcquire()
  return options.filter((line) => REACHING.test(line) || AGEING.test(line))
}

const REACHING = /^Acquire::https?::(Proxy|CAInfo)\b.*"[^"]+";$/i
const AGEING = /^Acquire::(Check-Valid-Until|Max-ValidTime)\b[^"]* "[\w.-]+";$/i

/** Those that say how old lists may be, for apt elsewhere. */
export async function hostAgeing(): Promise<string[]> {
  return (await hostAcquire()).filter((line) => AGEING.test(line))
}

async function hostAcquire(): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)('apt-config', ['dump', '--format', '%F "%v";%n', 'Acquire'])
    return stdout.split('\n')
  } catch {
    // No apt-config: not a Debian host, so there are no settings to take over.
    return []
  }
}
