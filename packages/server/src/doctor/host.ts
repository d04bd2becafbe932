import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { degraded, type Finding, missing, ok, reason, tool } from './check.ts'

/** Overlay of idmapped layers needs 5.19; it brought the newest thing that a sandbox is made of. */
const LEAST_KERNEL = [5, 19] as const

export async function kernel(): Promise<Finding> {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const [needMajor, needMinor] = LEAST_KERNEL
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return ok(`Linux ${release()}`)
  return missing(`Linux ${release()}`, `Use Linux ${needMajor}.${needMinor} or newer.`)
}

export async function userNamespaces(signal?: AbortSignal): Promise<Finding> {
  try {
    await tool('unshare', ['--user', '--map-root-user', '--mount', '--pid', '--fork', 'true'], signal)
    return ok('user, mount and pid namespaces can be made')
  } catch (error) {
    const fix =
      'Allow them: sysctl user.max_user_namespaces=15000; where they exist, also ' +
      'kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0.'
    return missing(`a user namespace cannot be made: ${reason(error)}`, fix)
  }
}

/** Mounts on the data directory's own file system and writes through it: some refuse, or turn read-only silently. */
export async function overlay(dataDir: string, signal?: AbortSignal): Promise<Finding> {
  const script =
    'mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && echo . >merged/file && test -s upper/file'
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const directory = await mkdtemp(join(dataDir, 'doctor-'))
    await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) }
    for (const name of ['lower', 'upper', 'work', 'merged']) await mkdir(join(directory, name))
    const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount']
    await tool('unshare', [...namespaces, 'sh', '-c', `cd "$1" && ${script}`, 'sh', directory], signal)
    return ok(`overlay mounts on ${dataDir} work and take writes`)
  } catch (error) {
    const fix = 'Put the data directory on ext4, XFS or btrfs, and load the module: modprobe overlay.'
    return missing(`an overlay on ${dataDir} does not work: ${reason(error)}`, fix)
  }
}

export async function openFiles(): Promise<Finding> {
  const line = /^Max open files +(\S+) +(\S+)/m.exec(await readFile('/proc/self/limits', 'utf8'))
  const [soft, hard] = [line?.[1] ?? '?', line?.[2] ?? '?']
  const detail = `${soft}, at most ${hard}`
  if (hard === 'unlimited' || Number(hard) >= 4096) return ok(detail)
  return degraded(
    `${detail}: the server keeps a few open for each sandbox`,
    'Raise the hard limit: ulimit -Hn 65536.',
  )
}
