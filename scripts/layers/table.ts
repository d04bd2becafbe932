/**
 * The layers, from the bottom up: folders of `packages/*\/src` (in the server, its subfolders), and what each sees.
 * A layer always sees itself. Tests may look anywhere, so they are not checked.
 */
const MIDDLE = ['server/runtime', 'server/storage', 'server/state', 'server/guest', 'server/network']
const SERVER_BASE = ['protocol', 'server/core', 'server/base']

export const LAYERS: Record<string, readonly string[]> = {
  protocol: [],
  sdk: ['protocol'],
  cli: ['sdk', 'protocol'],

  'server/core': ['protocol'],
  // The files directly in server/src but those that wire: configuration, log, undo, failpoints.
  'server/base': ['protocol', 'server/core'],
  'server/launcher': SERVER_BASE,
  // These never see one another: storage answers with plans and runtime consumes them. sandboxes/ joins them.
  'server/runtime': [...SERVER_BASE, 'server/launcher'],
  'server/storage': SERVER_BASE,
  'server/state': SERVER_BASE,
  'server/guest': SERVER_BASE,
  'server/network': SERVER_BASE,
  'server/sandboxes': [...SERVER_BASE, 'server/launcher', ...MIDDLE],
  'server/doctor': [...SERVER_BASE, 'server/launcher', ...MIDDLE],
  'server/api': [...SERVER_BASE, 'server/sandboxes', 'server/doctor'],
  'server/ssh': [...SERVER_BASE, 'server/sandboxes'],
  'server/proxy': [...SERVER_BASE, 'server/sandboxes'],
  'server/main': [
    ...SERVER_BASE,
    'server/launcher',
    ...MIDDLE,
    'server/sandboxes',
    'server/doctor',
    'server/api',
    'server/ssh',
    'server/proxy',
  ],
}

/** Folders that share no more than their names say; what to do instead of an import that is not allowed. */
export function advice(from: string, to: string): string {
  if (from === 'sdk' || from === 'cli')
    return 'go through the API and the SDK, or move the shared type to protocol'
  if (to === 'server/main')
    return 'main wires everything and is imported by nothing; take what you need as a parameter'
  if (from === 'server/core') return 'move the decision to core or the call to sandboxes'
  if (from === 'server/api' || from === 'server/ssh') return 'add a use case to sandboxes and call that'
  return 'take what you need as a parameter, move shared types to core, or move the call up to sandboxes'
}

/** What no run-time import of a layer may reach, and why. */
export const UNREACHABLE: { layer: string; module: RegExp; because: string }[] = [
  { layer: 'protocol', module: /^node:/, because: 'protocol has no I/O and runs in a browser' },
  {
    layer: 'sdk',
    module: /^zod(\/|$)/,
    because: 'the SDK is small: it uses protocol for types and errors only',
  },
  { layer: 'cli', module: /^zod(\/|$)/, because: 'the command line starts in milliseconds' },
  {
    layer: 'server/core',
    module: /^node:(?!crypto$|path$|util$|buffer$)/,
    because: 'core is pure: it decides and does no I/O',
  },
]

/** The files of the server that put the parts together; only they see everything. */
const WIRING = ['main.ts', 'server.ts', 'parts.ts']

/** @param path from the repository's root. @returns null for a file that is in no layer. */
export function layerOf(path: string): string | null {
  const [, pack, inner] = /^packages\/([^/]+)\/src\/(.+)$/.exec(path) ?? []
  if (!pack || !inner) return null
  if (pack !== 'server') return pack
  const folder = inner.includes('/') ? inner.slice(0, inner.indexOf('/')) : null
  if (folder) return `server/${folder}`
  return WIRING.includes(inner) ? 'server/main' : 'server/base'
}
