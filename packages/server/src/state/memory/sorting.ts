export type SortKey = string | number | null

/**
 * Records in the order of insertion, sorted and cut into a page. Null is last in both directions; what is equal stays
 * in the order of insertion, or its reverse.
 */
export function paged<R>(
  matching: R[],
  key: (record: R) => SortKey,
  { direction, limit, offset }: { direction: 'asc' | 'desc'; limit: number; offset: number },
): { items: R[]; total: number } {
  const sign = direction === 'asc' ? 1 : -1
  const inOrder = sign === 1 ? matching : matching.toReversed()
  const sorted = inOrder.toSorted((a, b) => compare(key(a), key(b), sign))
  return { items: structuredClone(sorted.slice(offset, offset + limit)), total: matching.length }
}

function compare(a: SortKey, b: SortKey, sign: number): number {
  if (a === b) return 0
  if (a === null) return 1
  if (b === null) return -1
  return a < b ? -sign : sign
}

/** Whether every pair is in it. */
export function hasPairs(metadata: Record<string, string>, pairs: Record<string, string> = {}): boolean {
  return Object.entries(pairs).every(
    ([key, value]) => Object.hasOwn(metadata, key) && metadata[key] === value,
  )
}
