import { lstatSync } from 'node:fs'
import { basename, posix } from 'node:path'
import { UsageError } from '../failure.ts'

/** One side of a copy. */
export type Endpoint =
  | { kind: 'sandbox'; id: string; path: string }
  | { kind: 'local'; path: string }
  /** Our stdin, or our stdout. */
  | { kind: 'stdio' }

const SANDBOX_PATH = /^([A-Za-z0-9_-]{1,64}):(.*)$/s

/** Reads `sandbox:path`, a path of this machine, or `-`. A local file whose name looks like a sandbox's path wins. */
export function parseEndpoint(text: string): Endpoint {
  if (text === '') throw new UsageError('A path must not be empty.')
  if (text === '-') return { kind: 'stdio' }
  const match = SANDBOX_PATH.exec(text)
  if (!match || lstatSync(text, { throwIfNoEntry: false })) return { kind: 'local', path: text }
  return { kind: 'sandbox', id: match[1]!, path: match[2] || '.' }
}

/** Which way a copy goes. */
export interface Direction {
  up: boolean
  /** Path on this machine; null: stdin or stdout. */
  local: string | null
  sandbox: string
  path: string
}

export function directionOf(from: string, to: string): Direction {
  const [source, target] = [parseEndpoint(from), parseEndpoint(to)]
  if (source.kind === 'sandbox' && target.kind === 'sandbox')
    throw new UsageError(
      `Both sides are in sandboxes. Copy through this machine: caisson cp ${from} - | caisson cp - ${to}`,
    )
  if (source.kind === 'sandbox') return { up: false, local: localOf(target), ...inside(source) }
  if (target.kind === 'sandbox') return { up: true, local: localOf(source), ...inside(target) }
  throw new UsageError('One side must be in a sandbox: write <sandbox>:<path>.')
}

const inside = ({ id, path }: { id: string; path: string }) => ({ sandbox: id, path })

const localOf = (end: Endpoint): string | null => (end.kind === 'local' ? end.path : null)

/**
 * The name that a copy takes in a directory that was named as its target. Undefined for `.`, `..`, `/` and `dir/.`,
 * of which the content is copied.
 */
export function nameFor(path: string, flavour: 'local' | 'sandbox'): string | undefined {
  if (/(^|\/)\.{1,2}\/*$/.test(path)) return undefined
  return (flavour === 'local' ? basename(path) : posix.basename(path)) || undefined
}
