export interface Summary {
  n: number
  p50: number
  p95: number
  p99: number
  min: number
  max: number
}

/** Of all samples: none is trimmed. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (p: number) => sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)] ?? Number.NaN
  return { n: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), min: at(0), max: at(1) }
}

/** A few digits that matter: "0.83", "12.4", "1840". */
export const digits = (value: number): string =>
  Number.isNaN(value)
    ? '–'
    : value < 10
      ? value.toFixed(2)
      : value < 100
        ? value.toFixed(1)
        : value.toFixed(0)

/** Samples by name, in the order in which they were taken. */
export type Series = Record<string, number[]>

export function addSample(series: Series, name: string, value: number): void {
  const samples = series[name] ?? []
  samples.push(value)
  series[name] = samples
}
