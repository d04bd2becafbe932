import { spawn } from 'node:child_process'
import { access, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import type { Config } from '../../../config.ts'
import { certificates } from '../../../storage/images/certificates.ts'
import { plain } from '../printable.ts'
import { ImageError } from './image-error.ts'

const TIMEOUT_MS = 30 * 60_000
const LOOK_MS = 500
const MAX_LOG = 16_384
const LOG_LINES = 5
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const POLICY = '/etc/containers/policy.json'
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

/** A host with an optional port, names, an optional tag and an optional digest; nothing that a program could take for an option. */
const REFERENCE =
  /^(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?(?::[0-9]{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** @throws SandboxError `image_invalid` */
export function assertReference(reference: string): void {
  if (reference.length <= 512 && REFERENCE.test(reference)) return
  const reason = 'this is no reference such as "docker.io/library/alpine:3" or "localhost:5000/name@sha256:…"'
  throw new SandboxError('image_invalid', { image: JSON.stringify(plain(reference)), reason })
}

/**
 * Copies an image for this machine from a registry into a directory, as an OCI layout, by skopeo: it reaches the
 * registry by the operator's proxy and with the operator's authorities, and without any credentials.
 * @param directory exists and is empty
 * @returns the layout's directory
 * @throws SandboxError `not_supported`, `build_failed`; ImageError when it is larger than `maxBytes`
 */
export async function fetchImage(
  { build }: Pick<Config, 'build'>,
  reference: string,
  options: { directory: string; insecure: boolean; maxBytes: number },
  signal?: AbortSignal,
): Promise<string> {
  assertReference(reference)
  const { directory, insecure, maxBytes } = options
  const hasPolicy = await access(POLICY).then(
    () => true,
    () => false,
  )
  const args = [
    ...(hasPolicy ? [] : ['--insecure-policy']),
    ...['--override-os', 'linux', '--override-arch', ARCHITECTURES[process.arch] ?? process.arch],
    ...['--command-timeout', `${TIMEOUT_MS / 1000}s`, 'copy', '--quiet'],
    ...(insecure ? ['--src-tls-verify=false'] : []),
    ...['--', `docker://${reference}`, 'oci:image:latest'],
  ]
  const env = await environment(build, directory)
  const { code, log, tooLarge } = await run(args, { directory, env, maxBytes }, signal)
  signal?.throwIfAborted()
  if (tooLarge) throw new ImageError(`it is larger than the ${maxBytes} bytes that there is room for`)
  if (code !== 0)
    throw new SandboxError('build_failed', {
      what: `Image "${reference}"`,
      reason: 'it could not be fetched',
      log,
    })
  return join(directory, 'image')
}

async function environment(
  { proxy, caFile }: Config['build'],
  directory: string,
): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = {
    PATH,
    HOME: directory,
    TMPDIR: directory,
    LANG: 'C.UTF-8',
  }
  if (proxy !== null) Object.assign(env, { HTTP_PROXY: proxy, HTTPS_PROXY: proxy })
  if (caFile !== null) {
    env.SSL_CERT_FILE = join(directory, 'certificates.pem')
    await writeFile(env.SSL_CERT_FILE, await certificates(caFile))
  }
  return env
}

interface Place {
  directory: string
  env: NodeJS.ProcessEnv
  maxBytes: number
}

async function run(
  args: string[],
  { directory, env, maxBytes }: Place,
  signal?: AbortSignal,
): Promise<{ code: number | null; log: string; tooLarge: boolean }> {
  const limits = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal === undefined ? [] : [signal])])
  const child = spawn('skopeo', args, { cwd: directory, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const kill = () => void child.kill('SIGKILL')
  limits.addEventListener('abort', kill)
  if (limits.aborted) kill()
  let tooLarge = false
  const looking = setInterval(async () => {
    const bytes = await bytesIn(directory).catch(() => 0)
    tooLarge ||= bytes > maxBytes
    if (tooLarge) kill()
  }, LOOK_MS)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-MAX_LOG)
  })
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', (cause) => reject(missing(cause)))
      child.on('close', resolve)
    })
    return { code, log: lastLines(log), tooLarge }
  } finally {
    clearInterval(looking)
    limits.removeEventListener('abort', kill)
  }
}

function missing(cause: Error): SandboxError {
  const reason = 'skopeo is not installed ("apt-get install skopeo"); an archive can be imported without it'
  return new SandboxError('not_supported', { what: 'fetching images from registries', reason }, { cause })
}

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true })
  const sizes = names.map((name) =>
    stat(join(directory, name)).then(
      (info) => (info.isFile() ? info.size : 0),
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

function lastLines(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '')
  return lines.slice(-LOG_LINES).map(plain).join('\n')
}
