import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import { findKnownBad } from './known-bad.ts'

const run = promisify(execFile)

/** The version in the output of `crun --version`; null when that is not crun. */
export function parseCrunVersion(output: string): string | null {
  return /^crun version (\d+(?:\.\d+)*)/m.exec(output)?.[1] ?? null
}

/** Asks the runtime for its version. @throws SandboxError `host_not_ready` when it is missing, not crun, or known to be bad. */
export async function requireGoodCrun(path: string, signal?: AbortSignal): Promise<string> {
  const { stdout } = await run(path, ['--version'], { signal, timeout: 10_000 }).catch((error: Error) => {
    signal?.throwIfAborted()
    throw new SandboxError(
      'host_not_ready',
      { what: `crun cannot be run (${path}): ${error.message}`, fix: 'Install it: apt-get install crun.' },
      { cause: error },
    )
  })
  const version = parseCrunVersion(stdout)
  if (!version) {
    const what = `${path} is not crun: it says "${stdout.split('\n')[0]}"`
    throw new SandboxError('host_not_ready', { what, fix: 'Point the setting to crun.' })
  }
  const bad = findKnownBad(version)
  if (bad) {
    throw new SandboxError('host_not_ready', {
      what: `crun ${version} has ${bad.cve}: ${bad.summary}`,
      fix: bad.fixedIn ? `Install crun ${bad.fixedIn} or later.` : 'No fixed release is known.',
    })
  }
  return version
}
