import { LIMITS } from '@caisson/protocol/frames'
import { invalid } from './invalid.ts'

/** Names that begin so are the server's own: programs inside may trust that no caller set them. */
const RESERVED = 'CAISSON_'

/** Linux takes no single "NAME=value" above 128 KiB, its final NUL included; without this check exec fails with E2BIG. */
const MAX_ENTRY_BYTES = 128 * 1024 - 1

/** What a sandbox's environment may take, so that it and the arguments of a command fit the message that starts it. */
const MAX_BYTES = (LIMITS.MAX_PAYLOAD * 3) / 4
const MAX_VARIABLES = LIMITS.MAX_STRINGS / 2
/** Of each variable in that message, beside name, `=` and value. */
const FRAMING_BYTES = 5

/**
 * Checks the environment of a request. Names such as LD_PRELOAD or PATH are allowed: they change only what runs
 * inside the sandbox, never the agent or the host.
 * @throws SandboxError `invalid_request`
 */
export function assertEnvironment(environment: Record<string, string>, path = 'env'): void {
  for (const [name, value] of Object.entries(environment)) {
    const problem = problemOf(name, value)
    if (problem !== null) throw invalid(`${path}.${name}`, problem)
  }
}

/**
 * Checks that every command can be given all of a sandbox's environment.
 * @throws SandboxError `invalid_request`
 */
export function assertFits(environment: Record<string, string>): void {
  const entries = Object.entries(environment)
  if (entries.length > MAX_VARIABLES) throw invalid('env', `more than ${MAX_VARIABLES} variables`)
  const bytes = entries.reduce(
    (sum, [name, value]) => sum + name.length + 1 + Buffer.byteLength(value) + FRAMING_BYTES,
    0,
  )
  if (bytes > MAX_BYTES) throw invalid('env', `all variables together are larger than ${MAX_BYTES} bytes`)
}

/**
 * The environment after a change, in which null deletes.
 * @throws SandboxError `invalid_request`
 */
export function changeEnvironment(
  environment: Record<string, string>,
  change: Record<string, string | null>,
): Record<string, string> {
  assertEnvironment(Object.fromEntries(Object.entries(change).map(([name, value]) => [name, value ?? ''])))
  const merged = new Map<string, string | null>(Object.entries(environment))
  for (const [name, value] of Object.entries(change)) merged.set(name, value)
  const next = Object.fromEntries([...merged].filter((entry): entry is [string, string] => entry[1] !== null))
  assertFits(next)
  return next
}

function problemOf(name: string, value: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    return 'a name is letters, digits and _, and begins with no digit'
  if (name.startsWith(RESERVED)) return `names that begin with ${RESERVED} are reserved`
  if (value.includes('\0')) return 'must not contain NUL'
  if (name.length + 1 + Buffer.byteLength(value) > MAX_ENTRY_BYTES) {
    return `name and value are longer than ${MAX_ENTRY_BYTES} bytes together, the most that Linux takes`
  }
  return null
}

/**
 * The environment that a command starts with. A later layer wins: a terminal's default TERM, then the layers in
 * their order (the sandbox's, the execution's), then what the server says. HOME, USER and PATH are filled in by the
 * agent where they are absent, because only it knows the user.
 */
export function mergeEnvironment(
  facts: { sandbox: string; tty: boolean },
  ...layers: Record<string, string>[]
): Record<string, string> {
  const terminal = facts.tty ? { TERM: 'xterm-256color' } : {}
  return Object.assign({}, terminal, ...layers, { CAISSON_SANDBOX: facts.sandbox })
}
