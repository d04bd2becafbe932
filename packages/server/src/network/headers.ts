/** Headers as they came: name, value, name, value. Order, spelling and repetition are kept. */
export type RawHeaders = readonly string[]

/** About one connection, and not for the next (RFC 9110 7.6.1). What Node writes anew is among them. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What a Connection header may not take away: the next server would understand another request. */
const ESSENTIAL: ReadonlySet<string> = new Set(['host', 'content-length', 'authorization', 'cookie'])

/** May not come after a body (RFC 9110 6.5.1): a reader that merges trailers into the head would act on them. */
const NEVER_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...ESSENTIAL,
  'content-encoding',
  'content-type',
  'content-range',
  'expect',
  'set-cookie',
])

/** The values of a header, in order. @param name lower case */
export function valuesOf(headers: RawHeaders, name: string): string[] {
  return pairs(headers).flatMap(([key, value]) => (key.toLowerCase() === name ? [value] : []))
}

/** What goes on to the next server, as it came. */
export function endToEnd(headers: RawHeaders): string[] {
  const named = valuesOf(headers, 'connection').flatMap((value) => value.toLowerCase().split(','))
  const dropped = new Set(named.map((name) => name.trim()).filter((name) => !ESSENTIAL.has(name)))
  return pairs(headers).flatMap(([name, value]) => {
    const key = name.toLowerCase()
    return HOP_BY_HOP.has(key) || dropped.has(key) ? [] : [name, value]
  })
}

/** As `addTrailers` takes them. */
export function trailersOf(headers: RawHeaders): [string, string][] {
  return pairs(headers).filter(([name]) => !NEVER_TRAILERS.has(name.toLowerCase()))
}

function pairs(headers: RawHeaders): [string, string][] {
  const found: [string, string][] = []
  for (let at = 0; at + 1 < headers.length; at += 2) found.push([headers[at]!, headers[at + 1]!])
  return found
}
