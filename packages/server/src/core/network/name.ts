/** Names of hosts. There is one text for each name, made here; everything else compares texts. */

const MAX_NAME = 253

/** Zones that belong to the network a machine is in: the host's name server knows them and must not tell sandboxes. */
const LOCAL_ZONES = [
  'localhost',
  'local',
  'localdomain',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
  'onion',
  'invalid',
]

/**
 * Lower case, ASCII (names in other scripts as `xn--…`), without a trailing dot.
 * @returns null when this is no name: empty or long labels, other characters than letters, digits, `-` and `_`, or
 *   a last label that is a number, because such a name is an address to those who read it with inet_aton
 */
export function canonicalName(text: string): string | null {
  if (text.length > 4 * MAX_NAME) return null
  const ascii = /^[\x21-\x7e]*$/.test(text) ? text.toLowerCase() : toAscii(text)
  const name = ascii?.endsWith('.') ? ascii.slice(0, -1) : ascii
  if (!name || name.length > MAX_NAME) return null
  const labels = name.split('.')
  if (!labels.every((label) => /^[a-z0-9_-]{1,63}$/.test(label))) return null
  return isNumber(labels.at(-1) ?? '') ? null : name
}

/** Whether names like this one are only known near the host, and so are never asked for. @param name canonical */
export function isLocalName(name: string): boolean {
  return !name.includes('.') || LOCAL_ZONES.some((zone) => name === zone || name.endsWith(`.${zone}`))
}

/** The zones that a name is below, the nearest first: of `a.b.c` these are `b.c` and `c`. */
export function zonesOf(name: string): string[] {
  const labels = name.split('.')
  return labels.slice(1).map((_, at) => labels.slice(at + 1).join('.'))
}

/** By UTS 46, as browsers do it. ASCII characters that have a meaning in addresses must not get that far. */
function toAscii(text: string): string | null {
  if (/[\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f\p{White_Space}\p{Cc}]/u.test(text)) return null
  const url = URL.parse(`http://${text}/`)
  return url === null ? null : url.hostname
}

function isNumber(label: string): boolean {
  return /^(\d+|0x[0-9a-f]*)$/.test(label)
}
