import type { Store } from '../store.ts'

/** Declares what every store must do. */
export type Declare = (title: string, body: (store: Store) => Promise<void>) => void

/** The same numbers in every run, so that a failure comes again: from 0 up to, not including, `below`. */
export function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return Math.floor((state / 0x8000_0000) * below)
  }
}

/** Those of `ids` whose value is not null by value, in the direction, then the rest; ties by age in the direction. */
export function expectedOrder<R extends { id: string }>(
  records: R[],
  key: (record: R) => string | number | null,
  direction: 'asc' | 'desc',
): string[] {
  const sign = direction === 'asc' ? 1 : -1
  const rows = records.map((record, age) => ({ id: record.id, value: key(record), age }))
  rows.sort((a, b) => {
    if (a.value === b.value) return sign * (a.age - b.age)
    if (a.value === null || b.value === null) return a.value === null ? 1 : -1
    return a.value < b.value ? -sign : sign
  })
  return rows.map(({ id }) => id)
}
