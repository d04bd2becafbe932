/** Longest line that is told of a program, in characters. */
const MAX_LINE = 500

/** What of a program's output is shown to people where it failed. */
export function lastLines(text: string, count: number): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '')
  return lines
    .slice(-count)
    .map((line) => plainLine(line).slice(0, MAX_LINE))
    .join('\n')
}

/** Control characters would play with the reader's terminal. */
export function plainLine(line: string): string {
  return line.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replace(/[^\P{Cc}\t]/gu, ' ')
}
