import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'

export type Log = Logger

/** JSON lines on stderr; stdout belongs to answers that programs read. */
export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write })
}

/** A log that cannot be written, as on a full disk, must not stop the server. */
function write(line: string): void {
  try {
    writeSync(2, line)
  } catch {
    // There is nowhere left to say so.
  }
}
