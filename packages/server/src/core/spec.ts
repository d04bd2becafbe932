import { SandboxError } from '@caisson/protocol/errors'
import type { CreateSandbox } from '@caisson/protocol/resources'
import { invalid } from './invalid.ts'
import type { Limits } from './plan.ts'
import { formatBytes, formatCpu, parseBytes, parseCpu } from './quantity.ts'
import type { SandboxRecord } from './records.ts'

/** What the host has. */
export interface HostFacts {
  memoryBytes: number
  /** CPUs that the server may use. */
  cpus: number
}

/** What the driver and the storage in use hold a sandbox to. */
export interface Enforcement {
  enforced: readonly (keyof Limits)[]
  /** Whether the storage has a disk quota. */
  quota: boolean
  /** The most that a sandbox can have of the disk, in bytes. */
  maxDiskBytes?: number | undefined
}

/** Granted when a request names nothing. */
export interface ResourceDefaults {
  memory: string
  cpu: string
  disk: string
  pids: number
}

type Granted = SandboxRecord['granted']

/** Below these nothing useful starts. */
const MIN_MEMORY = 16 * 1024 ** 2
const MIN_CPU_MILLIS = 10
const MIN_PIDS = 8
const MIN_DISK = 16 * 1024 ** 2

/** Linux gives no more pids than this on 64 bits (PID_MAX_LIMIT): what holds where no limit is enforced. */
const MAX_PIDS = 4 * 1024 ** 2

/**
 * The limits of a new sandbox. What is asked for is granted exactly or refused; a default is cut to what the host
 * has; a limit that nothing enforces is told as the whole of the host, because that is what the sandbox can use.
 * @throws SandboxError `invalid_request` for an amount that is too small or more than the host has,
 *   `not_supported` for a limit that the driver or storage does not enforce
 */
export function resolveResources(
  asked: SandboxRecord['asked'],
  host: HostFacts,
  enforcement: Enforcement,
  defaults: ResourceDefaults,
): Granted {
  return {
    memoryBytes: resolve(memory(host), enforcement, asked.memory, defaults.memory),
    cpuMillis: resolve(cpu(host), enforcement, asked.cpu, defaults.cpu),
    pids: resolve(PIDS, enforcement, asked.pids, defaults.pids),
    diskBytes: resolveDisk(asked.disk, enforcement, defaults.disk),
  }
}

interface Resource<T> {
  limit: keyof Limits
  path: string
  min: number
  max: number
  parse: (value: T, path: string) => number
  format: (value: number) => string
}

const memory = (host: HostFacts): Resource<string> => ({
  limit: 'memoryBytes',
  path: 'resources.memory',
  min: MIN_MEMORY,
  max: host.memoryBytes,
  parse: parseBytes,
  format: formatBytes,
})

const cpu = (host: HostFacts): Resource<string> => ({
  limit: 'cpuMillis',
  path: 'resources.cpu',
  min: MIN_CPU_MILLIS,
  max: host.cpus * 1000,
  parse: parseCpu,
  format: formatCpu,
})

const PIDS: Resource<number> = {
  limit: 'pids',
  path: 'resources.pids',
  min: MIN_PIDS,
  max: MAX_PIDS,
  parse: (value) => value,
  format: String,
}

function resolve<T>(
  resource: Resource<T>,
  { enforced }: Enforcement,
  asked: T | undefined,
  fallback: T,
): number {
  const { path, max, parse } = resource
  if (!enforced.includes(resource.limit)) {
    if (asked === undefined) return max
    throw new SandboxError('not_supported', {
      what: path,
      reason: 'the driver in use does not enforce this limit',
    })
  }
  if (asked === undefined) return Math.min(parse(fallback, `defaults.${path.split('.')[1]}`), max)
  return between(resource, parse(asked, path))
}

function between<T>({ path, min, max, format }: Resource<T>, value: number): number {
  if (value < min) throw invalid(path, `${format(value)} is less than the minimum of ${format(min)}`)
  if (value > max) throw invalid(path, `${format(value)} is more than this host has, which is ${format(max)}`)
  return value
}

/**
 * Refuses amounts with which nothing starts, of what is granted by default: that is cut to what the host has.
 * @throws SandboxError `invalid_request`
 */
export function assertEnough({ memory, cpu, disk }: Partial<ResourceDefaults>): void {
  const amounts = [
    [memory, 'resources.memory', parseBytes, MIN_MEMORY, formatBytes],
    [cpu, 'resources.cpu', parseCpu, MIN_CPU_MILLIS, formatCpu],
    [disk, 'resources.disk', parseBytes, MIN_DISK, formatBytes],
  ] as const
  for (const [text, path, parse, min, format] of amounts) {
    const amount = text === undefined ? min : parse(text, path)
    if (amount < min) throw invalid(path, `${format(amount)} is less than the minimum of ${format(min)}`)
  }
}

/** null: nothing limits it. */
function resolveDisk(
  asked: string | undefined,
  { quota, maxDiskBytes = Number.POSITIVE_INFINITY }: Enforcement,
  fallback: string,
): number | null {
  const path = 'resources.disk'
  if (!quota) {
    if (asked === undefined) return null
    throw new SandboxError('not_supported', {
      what: path,
      reason: 'the storage in use has no disk quota; "caisson doctor" says what it would need',
    })
  }
  if (asked === undefined) return Math.min(parseBytes(fallback, 'defaults.disk'), maxDiskBytes)
  const bytes = parseBytes(asked, path)
  if (bytes < MIN_DISK)
    throw invalid(path, `${formatBytes(bytes)} is less than the minimum of ${formatBytes(MIN_DISK)}`)
  if (bytes > maxDiskBytes)
    throw invalid(
      path,
      `${formatBytes(bytes)} is more than the storage has, which is ${formatBytes(maxDiskBytes)}`,
    )
  return bytes
}

/** What this version cannot do, with the reason. Asking for it is refused, never ignored. */
const LATER = {
  scopes: 'this version gives sandboxes no access to the API',
} as const satisfies Partial<Record<keyof CreateSandbox, string>>

/**
 * Refuses options of abilities that are still to come. An empty list asks for nothing and passes.
 * @throws SandboxError `not_supported`
 */
export function refuseLater(input: Pick<CreateSandbox, keyof typeof LATER>): void {
  for (const [what, reason] of Object.entries(LATER)) {
    const value = input[what as keyof typeof LATER]
    const asksNothing = value === undefined || (Array.isArray(value) && value.length === 0)
    if (!asksNothing) throw new SandboxError('not_supported', { what, reason })
  }
}
