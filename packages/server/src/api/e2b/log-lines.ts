/** From the least to the most urgent. */
export const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type Level = (typeof LEVELS)[number]

/** A line of a log as these clients read it. */
export interface LogLine {
  /** RFC 3339 */
  timestamp: string
  level: Level
  message: string
  fields: Record<string, string>
}

export interface Wanted {
  direction: 'forward' | 'backward'
  /** Milliseconds since the epoch: the earliest line, or backward the latest. */
  from: number
  limit: number
  levels: readonly Level[]
  /** Part of the message; empty: any. */
  search: string
}

export function levelsFrom(least: Level): readonly Level[] {
  return LEVELS.slice(LEVELS.indexOf(least))
}

/** @param lines in the direction that is wanted; read no further than needed */
export async function pickLines<L extends Pick<LogLine, 'timestamp' | 'level' | 'message'>>(
  lines: AsyncIterable<L>,
  { direction, from, limit, levels, search }: Wanted,
): Promise<L[]> {
  const picked: L[] = []
  for await (const line of lines) {
    const at = Date.parse(line.timestamp)
    const inTime = direction === 'forward' ? at >= from : at <= from
    if (inTime && levels.includes(line.level) && line.message.includes(search)) picked.push(line)
    if (picked.length === limit) break
  }
  return picked
}
