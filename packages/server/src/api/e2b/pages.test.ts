import { expect, test } from 'vitest'
import { numberIn, oneOf, page } from './pages.ts'

const items = Array.from({ length: 25 }, (_, at) => ({
  id: `sbx_${String(at).padStart(2, '0')}`,
  // Several at the same time.
  createdAt: new Date(1000 * Math.floor(at / 4)).toISOString(),
}))

/** All pages; `change` happens to the list between them. */
function walk(order: 'asc' | 'desc', change: (seen: string[]) => typeof items = () => items): string[] {
  const seen: string[] = []
  let token: string | null = null
  do {
    const { items: got, headers }: ReturnType<typeof page<(typeof items)[number]>> = page(change(seen), {
      order,
      limit: 4,
      token,
    })
    seen.push(...got.map(({ id }) => id))
    token = headers['x-next-token'] ?? null
  } while (token !== null)
  return seen
}

test('pages have every item once, in order', () => {
  const ids = items.map(({ id }) => id)
  expect(walk('asc')).toEqual(ids)
  expect(walk('desc')).toEqual(ids.toReversed())
})

test('nothing is left out or shown twice while items come and go', () => {
  const ids = items.map(({ id }) => id)
  // What was shown ends, even the very item that the token was made of.
  const ending = walk('asc', (seen) => items.filter(({ id }) => !seen.includes(id)))
  expect(ending).toEqual(ids)
  const newer = { id: 'sbx_new', createdAt: '2030-01-01T00:00:00.000Z' }
  expect(walk('desc', (seen) => (seen.length === 0 ? items : [...items, newer]))).toEqual(ids.toReversed())
})

test('the last page has no token, nor has an empty list', () => {
  expect(page(items.slice(0, 4), { order: 'asc', limit: 4, token: null }).headers).toEqual({})
  expect(page([], { order: 'asc', limit: 4, token: null })).toEqual({ items: [], headers: {} })
})

test.each(['x', 'c2J4', Buffer.from('2020-01-01T00:00:00.000Z ../x').toString('base64url')])(
  'the token %s is refused',
  (token) => {
    expect(() => page(items, { order: 'asc', limit: 4, token })).toThrow('nextToken')
  },
)

test('numbers and words of a query', () => {
  const query = new URLSearchParams('limit=7&order=asc&bad=1e3&empty=')
  const range = { min: 1, max: 100, fallback: 50 }
  expect(numberIn(query, 'limit', range)).toBe(7)
  expect(numberIn(query, 'none', range)).toBe(50)
  expect(numberIn(query, 'empty', range)).toBe(50)
  expect(() => numberIn(query, 'bad', range)).toThrow('bad')
  expect(() => numberIn(query, 'limit', { ...range, max: 6 })).toThrow('limit')
  expect(oneOf(query, 'order', ['desc', 'asc'])).toBe('asc')
  expect(oneOf(query, 'none', ['desc', 'asc'])).toBe('desc')
  expect(() => oneOf(query, 'bad', ['desc', 'asc'])).toThrow('bad')
})
