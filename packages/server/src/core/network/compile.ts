import type { Address, Family, Range } from './address.ts'
import { ALL_RESERVED, isReserved, openable, RESERVED } from './builtin.ts'
import type { RangeEntry } from './entry.ts'
import { everything, intersect, rangeOf, subtract } from './ranges.ts'
import type { NetworkRecord } from './types.ts'

/** Why an address is allowed or refused. */
export type Mark =
  /** `entry`: the range of all addresses that says so. */
  | { readonly kind: 'default' | 'learn'; readonly allowed: boolean; readonly entry: string | null }
  | { readonly kind: 'entry'; readonly allowed: boolean; readonly entry: string; readonly single: boolean }
  /** `permitted`: by the operator, but no rule opens it. */
  | { readonly kind: 'reserved'; readonly allowed: false; readonly why: string; readonly permitted: boolean }
  | { readonly kind: 'host'; readonly allowed: false }

export interface Segment extends Range {
  readonly mark: Mark
}

/** Every address of a family is in exactly one segment; they are in ascending order. */
export type Compiled = Record<Family, Segment[]> & { readonly defaults: Record<Family, Mark> }

/**
 * Paints ranges over one another, the least specific first, so that what is on top decides. The built-in blocks are
 * painted below the entries, which then colour only what they may open.
 */
export function compileRanges(
  record: Pick<NetworkRecord, 'default' | 'learn'>,
  entries: { entry: RangeEntry; allowed: boolean }[],
  { permit, host }: { permit: Range[]; host: Address[] },
): Compiled {
  const permitted = openable(permit)
  const sorted = [...entries].sort((a, b) => a.entry.range.prefix - b.entry.range.prefix)
  const whole = (family: Family): Mark => {
    const found = sorted.find(({ entry: { range } }) => range.family === family && range.prefix === 0)
    if (found) return { kind: 'default', allowed: found.allowed, entry: found.entry.text }
    if (record.learn) return { kind: 'learn', allowed: true, entry: null }
    return { kind: 'default', allowed: record.default === 'allow', entry: null }
  }
  const defaults = { 4: whole(4), 6: whole(6) }
  const canvas = { 4: new Canvas(4, defaults[4]), 6: new Canvas(6, defaults[6]) }
  for (const range of RESERVED) paintReserved(canvas[range.family], range, permitted)
  for (const { entry, allowed } of sorted) paintEntry(canvas[entry.range.family], entry, allowed, permitted)
  for (const address of host) canvas[address.family].paint(rangeOf(address), { kind: 'host', allowed: false })
  return { 4: canvas[4].segments, 6: canvas[6].segments, defaults }
}

/** The mark of an address. */
export function find(compiled: Compiled, { family, value }: Address): Mark {
  const segments = compiled[family]
  return (segments[indexOf(segments, value)] as Segment).mark
}

function paintReserved(canvas: Canvas, range: (typeof RESERVED)[number], permitted: Range[]): void {
  canvas.paint(range, { kind: 'reserved', allowed: false, why: range.why, permitted: false })
  for (const part of intersect(range, permitted)) {
    canvas.paint(part, { kind: 'reserved', allowed: false, why: range.why, permitted: true })
  }
}

/**
 * A range with public addresses in it opens none of the private ones, whatever the operator permits: who writes
 * 0.0.0.0/1 means the internet.
 */
function paintEntry(canvas: Canvas, { text, range }: RangeEntry, allowed: boolean, permitted: Range[]): void {
  if (range.prefix === 0) return
  const parts = isReserved(range) ? intersect(range, permitted) : subtract(range, ALL_RESERVED)
  const mark: Mark = { kind: 'entry', allowed, entry: text, single: range.first === range.last }
  for (const part of parts) canvas.paint(part, mark)
}

/** All addresses of a family, in segments of one mark each. */
class Canvas {
  readonly segments: Segment[]

  constructor(family: Family, mark: Mark) {
    this.segments = [{ ...everything(family), mark }]
  }

  paint({ family, first, last }: Range, mark: Mark): void {
    const from = indexOf(this.segments, first)
    const to = indexOf(this.segments, last)
    const before = this.segments[from] as Segment
    const after = this.segments[to] as Segment
    const painted: Segment[] = [{ family, first, last, mark }]
    if (before.first < first) painted.unshift({ ...before, last: first - 1n })
    if (after.last > last) painted.push({ ...after, first: last + 1n })
    this.segments.splice(from, to - from + 1, ...painted)
  }
}

/** Of the segment that holds a value: by halves, since a sandbox may have thousands. */
function indexOf(segments: Segment[], value: bigint): number {
  let low = 0
  let high = segments.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((segments[middle] as Segment).first <= value) low = middle
    else high = middle - 1
  }
  return low
}
