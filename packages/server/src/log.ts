import { type Logger, pino } from 'pino'

export type Log = Logger

/** JSON lines on stderr; stdout belongs to answers that programs read. */
export function createLog(level: string): Log {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  )
}
