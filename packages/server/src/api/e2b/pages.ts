import { invalid } from '../errors.ts'

interface Item {
  id: string
  createdAt: string
}

export interface Asked {
  order: 'asc' | 'desc'
  limit: number
  /** What the page before ended with. */
  token: string | null
}

/**
 * One page of a list. A page begins after the place of the last item of the one before, whether that still exists or
 * not, so that nothing is shown twice or left out because others come and go.
 * @throws SandboxError `invalid_request` for a token that was not given by this server
 */
export function page<T extends Item>(
  found: readonly T[],
  { order, limit, token }: Asked,
): { items: T[]; headers: Record<string, string> } {
  const sign = order === 'asc' ? 1 : -1
  const place = ({ createdAt, id }: Item) => `${createdAt} ${id}`
  const compare = (a: string, b: string) => (a < b ? -sign : a > b ? sign : 0)
  const after = token === null || token === '' ? null : readToken(token)
  const rest = [...found]
    .sort((a, b) => compare(place(a), place(b)))
    .filter((item) => after === null || compare(place(item), after) > 0)
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  const more = last !== undefined && rest.length > items.length
  return { items, headers: more ? { 'x-next-token': writeToken(place(last)) } : {} }
}

function writeToken(place: string): string {
  return Buffer.from(place).toString('base64url')
}

function readToken(token: string): string {
  const place = Buffer.from(token, 'base64url').toString()
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z [a-z0-9_]{1,64}$/.test(place)) return place
  throw invalid('nextToken', 'is not one that this server has given')
}

/** A whole number of the query. @throws SandboxError `invalid_request` */
export function numberIn(
  query: URLSearchParams,
  name: string,
  { min, max, fallback }: { min: number; max: number; fallback: number },
): number {
  const text = query.get(name) ?? ''
  if (text === '') return fallback
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw invalid(name, `must be a number from ${min} to ${max}`)
}

/** One of some words; the first is the default. @throws SandboxError `invalid_request` */
export function oneOf<const T extends string>(
  query: URLSearchParams,
  name: string,
  words: readonly [T, ...T[]],
): T {
  const text = query.get(name) ?? ''
  if (text === '') return words[0]
  const word = words.find((one) => one === text)
  if (word === undefined) throw invalid(name, `must be one of ${words.join(', ')}`)
  return word
}
