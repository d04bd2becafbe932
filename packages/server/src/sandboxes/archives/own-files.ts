/** What the launcher mounts or writes anew at each start: it is no part of anybody's files. */
const MOUNTED = new Set(['.caisson', 'dev', 'proc', 'sys'])
const WRITTEN = new Set(['etc/hostname', 'etc/hosts', 'etc/resolv.conf', 'etc/machine-id'])

/** At or below a directory at the root that something is mounted over. @param path without a slash at its beginning */
export function isMounted(path: string): boolean {
  const end = path.indexOf('/')
  return MOUNTED.has(end < 0 ? path : path.slice(0, end))
}

/** A file that a start writes. */
export function isWrittenAtStart(path: string): boolean {
  return WRITTEN.has(path)
}
