/**
 * Runtime versions with known escapes, as data. A row with `exposed` refuses the version by name when the server
 * starts; the others do not concern the configuration that the launcher composes, and say why.
 */
export interface KnownBad {
  cve: string
  /** First version that has the fix; null while no release has it. */
  fixedIn: string | null
  summary: string
  exposed: boolean
  why: string
}

export const KNOWN_BAD_CRUN: readonly KnownBad[] = [
  {
    cve: 'CVE-2019-18837',
    fixedIn: '0.10.5',
    summary: 'a symbolic link in the image leads mounts to the host',
    exposed: true,
    why: 'images are not trusted',
  },
  {
    cve: 'CVE-2022-27650',
    fixedIn: '1.4.4',
    summary: 'processes get inheritable capabilities that nobody gave them',
    exposed: true,
    why: 'programs of the workload run under container root and other users',
  },
  {
    cve: 'CVE-2025-24965',
    fixedIn: '1.20',
    summary: 'the krun handler writes its configuration through a link of the image',
    exposed: false,
    why: 'the launcher never asks for a handler',
  },
  {
    cve: 'CVE-2026-88264',
    fixedIn: null,
    summary: 'without a mount on /dev, a link of the image leads /dev/console to the host',
    exposed: false,
    why: 'every sandbox has a fresh /dev and none has a runtime terminal',
  },
  {
    cve: 'CVE-2026-88265',
    fixedIn: null,
    summary: 'without a mount on /dev, a link of the image leads standard streams to a file of the host',
    exposed: false,
    why: 'every sandbox has a fresh /dev',
  },
]

/** The first row that this version is exposed to; null when it may be used. */
export function findKnownBad(version: string): KnownBad | null {
  const hit = (row: KnownBad) =>
    row.exposed && (row.fixedIn === null || compareVersions(version, row.fixedIn) < 0)
  return KNOWN_BAD_CRUN.find(hit) ?? null
}

/** Negative when `a` is older. Parts that are missing count as zero. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
