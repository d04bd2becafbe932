import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where Debian packages come from. */
export interface Mirrors {
  main: string
  security: string
}

/** The public mirrors: the default, and what every image names, whatever it was built from. */
export const PUBLIC_MIRRORS: Mirrors = {
  main: 'http://deb.debian.org/debian',
  security: 'http://deb.debian.org/debian-security',
}

/**
 * The mirrors this host itself uses, so that a host behind a mirror of its own can build. A host that is not
 * Debian, or names no mirror that looks like Debian's, gets the public ones.
 * @param etc the host's apt configuration directory.
 */
export async function hostMirrors(etc = '/etc/apt'): Promise<Mirrors> {
  const uris = (await sourceFiles(etc)).flatMap(({ path, text }) =>
    path.endsWith('.sources') ? deb822Uris(text) : oneLineUris(text),
  )
  const ending = (name: string) => uris.find((uri) => new RegExp(`^https?://.*/${name}$`).test(uri))
  return {
    main: ending('debian') ?? PUBLIC_MIRRORS.main,
    security: ending('debian-security') ?? PUBLIC_MIRRORS.security,
  }
}

/** @returns the lines of a sources.list for a suite. */
export function sourceLines(mirrors: Mirrors, suite: string, components: string[]): string[] {
  const rest = components.join(' ')
  const lines = [`deb ${mirrors.main} ${suite} ${rest}`]
  // sid is where updates arrive first: it has neither of the other two.
  if (suite === 'sid') return lines
  lines.push(
    `deb ${mirrors.main} ${suite}-updates ${rest}`,
    `deb ${mirrors.security} ${suite}-security ${rest}`,
  )
  return lines
}

async function sourceFiles(etc: string): Promise<{ path: string; text: string }[]> {
  const parts = await readdir(join(etc, 'sources.list.d')).catch(() => [])
  const paths = [join(etc, 'sources.list'), ...parts.sort().map((name) => join(etc, 'sources.list.d', name))]
  const wanted = paths.filter((path) => path.endsWith('.list') || path.endsWith('.sources'))
  return Promise.all(
    wanted.map(async (path) => ({ path, text: await readFile(path, 'utf8').catch(() => '') })),
  )
}

/** `deb [options] uri suite components…` */
function oneLineUris(text: string): string[] {
  return [...text.matchAll(/^[ \t]*deb[ \t]+(?:\[[^\]\n]*\][ \t]*)?(\S+)/gm)].map((found) => tidy(found[1]!))
}

/** Paragraphs of `Key: value`, a value going on in indented lines. */
function deb822Uris(text: string): string[] {
  return text.split(/\n[ \t]*\n/).flatMap((paragraph) => {
    const lines = paragraph.split('\n').filter((line) => !line.startsWith('#'))
    const unfolded = lines.join('\n').replace(/\n[ \t]+/g, ' ')
    const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'im').exec(unfolded)?.[1]?.trim() ?? ''
    if (field('Enabled').toLowerCase() === 'no' || !field('Types').split(/\s+/).includes('deb')) return []
    return field('URIs').split(/\s+/).filter(Boolean).map(tidy)
  })
}

const tidy = (uri: string): string => uri.replace(/\/+$/, '')
