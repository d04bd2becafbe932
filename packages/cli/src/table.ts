import { stripVTControlCharacters, styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Text in a style, where stdout is a terminal and NO_COLOR is not set. */
export const styled = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stdout })

/** What comes from a sandbox or a server may hold terminal control characters, which must not reach the terminal. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replace(/[\x00-\x1f\x7f-\x9f]/g, '·')

const NOT_SHOWN = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * A name or a value from a sandbox: as it is where a program reads, and with control characters and those that turn
 * the direction of text written out where a person does.
 */
export const shown = (text: string, terminal = process.stdout.isTTY): string =>
  terminal ? text.replace(NOT_SHOWN, (c) => ESCAPES[c] ?? codeOf(c)) : text

function codeOf(character: string): string {
  const code = character.charCodeAt(0).toString(16)
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`
}

/** Rows under a heading, in columns as wide as their widest cell. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const plain = [heading, ...rows].map((row) => row.map(printable))
  const widths = heading.map((_, column) => Math.max(...plain.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const [first, ...others] = plain.map(line)
  return [styled('bold', first ?? ''), ...others].join('\n')
}

/** Names and values, one a line. */
export function facts(pairs: readonly (readonly [string, string | null | undefined])[]): string {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${styled('dim', name.padEnd(width))}  ${printable(value!)}`).join('\n')
}

/** How long ago, in one unit. */
export function ago(time: string, now = Date.now()): string {
  return span(Math.max(0, now - Date.parse(time)))
}

export function span(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const
  for (const [unit, size] of units) if (ms >= size) return `${Math.floor(ms / size)}${unit}`
  return `${Math.round(ms)}ms`
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = count
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`
}
