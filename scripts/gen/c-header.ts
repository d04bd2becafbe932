/** A generated C header: `source` is named in its first line, `guard` is its include guard, `parts` are set apart. */
export function cHeader(source: string, guard: string, parts: string[][]): string {
  const lines = [
    `/* Generated from ${source} by "npm run gen". Do not edit. */`,
    `#ifndef ${guard}`,
    `#define ${guard}`,
    '',
    ...parts.flatMap((part) => [...part, '']),
    '#endif',
    '',
  ]
  return lines.join('\n')
}

/** One `#define` a value. */
export function defines(prefix: string, values: Record<string, number>): string[] {
  return Object.entries(values).map(([name, value]) => `#define ${prefix}_${name} ${value}`)
}
