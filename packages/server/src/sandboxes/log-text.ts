import { invalid } from '../core/invalid.ts'
import type { Piece } from './log-lines.ts'

/** An expression that compiles to more steps would hold up everybody else on long lines. */
const MAX_STEPS = 4000
const NEWLINE = 10
const RETURN = 13
const LINE_END = Buffer.from('\n')

/**
 * Tells lines that match an RE2 expression: its time is linear in the line, whatever the expression.
 * @throws SandboxError `invalid_request`
 */
export async function compileGrep(expression: string): Promise<(line: Buffer) => boolean> {
  // Loaded when it is first asked for: it is not small.
  const { RE2JS } = await import('re2js')
  let compiled: InstanceType<typeof RE2JS>
  try {
    compiled = RE2JS.compile(expression)
  } catch (error) {
    throw invalid('grep', error instanceof Error ? error.message : String(error))
  }
  if (compiled.programSize() > MAX_STEPS) throw invalid('grep', 'the expression is too large')
  return (line) => compiled.test(line.toString('utf8', 0, lengthOf(line)))
}

/** Without the newline, or what a terminal makes of it. */
function lengthOf(line: Buffer): number {
  let length = line.length
  if (line[length - 1] === NEWLINE) length--
  if (line[length - 1] === RETURN) length--
  return length
}

export interface TextOptions {
  /** Lines that do not match are left out, and each piece of a long line counts as a line. */
  matches: ((line: Buffer) => boolean) | null
  timestamps: boolean
}

/** Writes lines one below the other; each that is passed on stays as it is, byte by byte. */
export class LogText {
  readonly #options: TextOptions
  /** The stream whose unfinished line ends what was written so far. */
  #unfinished: Piece['stream'] | null = null

  constructor(options: TextOptions) {
    this.#options = options
  }

  write(pieces: Iterable<Piece>): Buffer {
    const parts: Buffer[] = []
    for (const piece of pieces) this.#write(piece, parts)
    return Buffer.concat(parts)
  }

  #write({ stream, bytes, time, first }: Piece, parts: Buffer[]): void {
    const { matches, timestamps } = this.#options
    if (matches !== null && !matches(bytes)) return
    const goesOn = !first && matches === null && this.#unfinished === stream
    if (this.#unfinished !== null && !goesOn) parts.push(LINE_END)
    if (timestamps && !goesOn) parts.push(Buffer.from(`${new Date(time).toISOString()} `))
    parts.push(bytes)
    this.#unfinished = bytes.at(-1) === NEWLINE ? null : stream
  }
}
