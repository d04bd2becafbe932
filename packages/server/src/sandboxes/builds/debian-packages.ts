import { SandboxError } from '@caisson/protocol/errors'
import { hostAgeing } from '../../storage/images/debian.ts'
import { hostMirrors, type Mirrors, PUBLIC_MIRRORS } from '../../storage/images/mirror.ts'
import type { Builder } from './builder.ts'
import type { Progress } from './shared.ts'
import { BUILD_DIR, CA_BUNDLE } from './surroundings.ts'

/** URLs of the mirrors that this host installs from. */
export async function debianSources(): Promise<string[]> {
  const { main, security } = await hostMirrors()
  return [main, security]
}

/**
 * The image's own lists of sources, with the operator's mirror where they name the public one, and what the mirror
 * needs to be reached; services that packages bring are not started.
 * $1 build directory, $2 public main, $3 main, $4 public security, $5 security, $6 proxy, $7 CA bundle; more settings on stdin
 */
const PREPARE = `
mkdir -p "$1/apt/sources"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$file" ] || continue
  sed -e "s#$4/*\\([ \\t]\\|\\$\\)#$5\\1#g" -e "s#$2/*\\([ \\t]\\|\\$\\)#$3\\1#g" "$file" >"$1/apt/sources/\${file##*/}"
done
mv "$1/apt/sources/sources.list" "$1/apt/sources.list" 2>/dev/null || : >"$1/apt/sources.list"
{
  printf 'Dir::Etc::sourcelist "%s";\\nDir::Etc::sourceparts "%s";\\n' "$1/apt/sources.list" "$1/apt/sources"
  printf 'APT::Sandbox::User "root";\\nAPT::Install-Recommends "false";\\nAcquire::Retries "2";\\nDpkg::Use-Pty "false";\\n'
  [ -z "$6" ] || printf 'Acquire::http::Proxy "%s";\\nAcquire::https::Proxy "%s";\\n' "$6" "$6"
  cat
  [ -z "$7" ] || printf 'Acquire::https::CAInfo "%s";\\n' "$7"
} >"$1/apt/apt.conf"
[ -e /usr/sbin/policy-rc.d ] || printf '#!/bin/sh\\nexit 101\\n' >"$1/policy-rc.d"
[ ! -e "$1/policy-rc.d" ] || install -m 755 "$1/policy-rc.d" /usr/sbin/policy-rc.d
`

const FINISH = '[ ! -e "$1/policy-rc.d" ] || rm -f /usr/sbin/policy-rc.d'

/** Installs Debian packages in a builder. @throws SandboxError `not_supported`, `build_failed` */
export async function installDebian(
  builder: Builder,
  dependencies: string[],
  mirrors: Mirrors,
  progress: Progress,
): Promise<void> {
  if (
    !(await builder.succeeds([
      '/bin/sh',
      '-c',
      '. /etc/os-release && [ "$ID" = debian ] && command -v apt-get',
    ]))
  )
    throw new SandboxError('not_supported', {
      what: 'dependencies',
      reason: 'they are Debian packages, and the image is not Debian',
    })
  const { proxy, certificates } = builder.surroundings
  const { main, security } = PUBLIC_MIRRORS
  const args = [main, mirrors.main, security, mirrors.security, proxy ?? '', certificates && CA_BUNDLE]
  const input = (await hostAgeing()).map((line) => `${line}\n`).join('')
  await builder.script(PREPARE, [BUILD_DIR, ...args.map((arg) => arg ?? '')], { input })
  const env = {
    APT_CONFIG: `${BUILD_DIR}/apt/apt.conf`,
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C.UTF-8',
  }
  progress('reading the lists of Debian packages')
  await builder.run(['apt-get', '-q', 'update', '--error-on=any'], { env })
  progress(`installing Debian packages: ${dependencies.join(' ')}`)
  await builder.run(['apt-get', '-q', 'install', '-y', '--', ...dependencies], { env })
  await builder.script(FINISH, [BUILD_DIR])
}
