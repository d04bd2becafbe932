import type { OutputChunk } from 'caisson'
import { writeAll } from './stdio.ts'

const NEWLINE = 10

/** Where the output of a command goes: our own stdout and stderr, as it comes. */
export function createPrinter(flags: {
  quiet?: boolean
  json?: boolean
  timestamps?: boolean
}): (chunk: OutputChunk) => void | Promise<void> {
  // With --json the whole result is printed at the end.
  if (flags.quiet || flags.json) return () => {}
  const stamped = { stdout: new Stamper(), stderr: new Stamper() }
  return ({ stream, data }) =>
    writeAll(process[stream], flags.timestamps ? stamped[stream].stamp(data) : data)
}

/** Puts the time before each line of one stream. */
class Stamper {
  #atStart = true

  stamp(data: Uint8Array): Uint8Array {
    const time = Buffer.from(`${new Date().toISOString()} `)
    const parts: Uint8Array[] = []
    for (let from = 0; from < data.length; ) {
      const found = data.indexOf(NEWLINE, from)
      const to = found === -1 ? data.length : found + 1
      if (this.#atStart) parts.push(time)
      parts.push(data.subarray(from, to))
      this.#atStart = found !== -1
      from = to
    }
    return Buffer.concat(parts)
  }
}
