/** The only file of the SDK that reads the environment. A browser has none, and every value is then undefined. */

interface ProcessLike {
  env?: Record<string, string | undefined>
  getuid?: () => number
  versions?: { node?: string }
}

const host = (globalThis as { process?: ProcessLike }).process

/** Whether Node's own modules can be imported: Node, Bun and Deno. */
export const hasNode = typeof host?.versions?.node === 'string'

const read = (name: string): string | undefined => host?.env?.[name] || undefined

/** What the environment says, read at the time of the call. */
export function readEnvironment() {
  return {
    /** `http(s)://host:port` or `unix:///path/to/api.sock`. */
    url: read('CAISSON_URL'),
    apiKey: read('CAISSON_API_KEY'),
    /** The `caisson` command that starts a local server. */
    bin: read('CAISSON_BIN'),
    path: read('PATH') ?? '',
    dataDir: read('CAISSON_DATA_DIR') ?? defaultDataDir(),
  }
}

/** The data directory of this machine's local server, as `CAISSON_DATA_DIR` or the platform's rules say. */
export const localDataDir = (): string => readEnvironment().dataDir

function defaultDataDir(): string {
  if (host?.getuid?.() === 0) return '/var/lib/caisson'
  const base = read('XDG_DATA_HOME') ?? `${read('HOME') ?? ''}/.local/share`
  return `${base}/caisson`
}
