import type { Outcome, Scenario, Target } from './scenario.ts'
import { digits, summarize } from './stats.ts'

/** A run, as it is kept. */
export interface Report {
  date: string
  machine: string
  quick: boolean
  scenarios: { name: string; title: string; outcome: Outcome }[]
}

export function tablesOf({ title }: Pick<Scenario, 'title'>, outcome: Outcome): string {
  const { series = {}, figures = [], targets = [], notes = [] } = outcome
  const rows = Object.entries(series).map(([name, samples]) => {
    const { n, p50, p95, p99, min, max } = summarize(samples)
    return `| ${name} | ${n} | ${[p50, p95, p99, min, max].map(digits).join(' | ')} |`
  })
  const parts = [
    rows.length > 0 &&
      ['| ms | N | p50 | p95 | p99 | min | max |', '|---|---|---|---|---|---|---|', ...rows].join('\n'),
    figures.length > 0 &&
      [
        '| figure | |',
        '|---|---|',
        ...figures.map((f) => `| ${f.name} | ${digits(f.value)} ${f.unit} |`),
      ].join('\n'),
    ...targets.map((target) => `- ${verdict(target)}`),
    ...notes.map((note) => `> ${note}`),
  ]
  return [`## ${title}`, ...parts.filter((part) => part !== false)].join('\n\n').replaceAll('\n\n- ', '\n- ')
}

/** "PASS 2.10 × (≤ 3 ×): …", with the distance where it is a miss. */
export function verdict({ promise, value, limit, unit }: Target): string {
  const with_ = (number: number) =>
    [Number.isInteger(number) ? `${number}` : digits(number), unit].filter(Boolean).join(' ')
  if (value <= limit) return `**PASS** ${promise}: ${with_(value)} (≤ ${with_(limit)})`
  const by = limit > 0 ? `by ${digits((value / limit - 1) * 100)} %` : `by ${with_(value)}`
  return `**MISS** ${by}: ${promise}: ${with_(value)} (≤ ${with_(limit)})`
}

export function markdown({ date, machine, quick, scenarios }: Report): string {
  const targets = scenarios.flatMap(({ outcome }) => outcome.targets ?? [])
  return [
    `# Benchmark of ${date}${quick ? ' (quick)' : ''}`,
    machine,
    'All samples count; nothing is trimmed. Peers take turns with Caisson in the same run.',
    targets.map((target) => `- ${verdict(target)}`).join('\n'),
    ...scenarios.map(({ title, outcome }) => tablesOf({ title }, outcome)),
    '',
  ].join('\n\n')
}

/** The report without samples, for comparing runs by program. */
export function summaryOf({ scenarios, ...rest }: Report): object {
  return {
    ...rest,
    scenarios: scenarios.map(({ name, outcome: { series = {}, ...outcome } }) => ({
      name,
      series: Object.fromEntries(Object.entries(series).map(([key, samples]) => [key, summarize(samples)])),
      ...outcome,
    })),
  }
}
