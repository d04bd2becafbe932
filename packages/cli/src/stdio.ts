import { fstatSync } from 'node:fs'
import { EXIT, signalNumber } from './failure.ts'

const endByPipe = (): void => process.exit(EXIT.signal + signalNumber('SIGPIPE'))
let readerGone = endByPipe

/** A reader that goes away (`caisson list | head`) ends us as it ends any program, and without words. */
export function endQuietly(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      readerGone()
    })
}

/** Has something to end first when the reader goes away, until it is disposed of. */
export function whenReaderGone(listener: () => void): Disposable {
  readerGone = listener
  return {
    [Symbol.dispose]() {
      readerGone = endByPipe
    },
  }
}

/** Resolves when the bytes have been taken, or nobody is there to take them, so that a slow reader slows the command. */
export function writeAll(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (stream.write(data)) return resolve()
    const taken = () => {
      stream.off('drain', taken)
      stream.off('close', taken)
      resolve()
    }
    stream.on('drain', taken)
    stream.on('close', taken)
  })
}

/** Writes bytes to stdout as they come, and gives their number. */
export async function toStdout(body: AsyncIterable<Uint8Array>): Promise<number> {
  let written = 0
  for await (const part of body) {
    await writeAll(process.stdout, part)
    written += part.length
  }
  return written
}

/**
 * Whether something was piped or redirected to us. A terminal is not, nor is /dev/null; what is inherited and never
 * written does no harm, since reading it does not hold up the end of the command.
 */
export function stdinIsPiped(): boolean {
  try {
    const stat = fstatSync(0)
    return stat.isFIFO() || stat.isFile() || stat.isSocket()
  } catch {
    // A closed stdin is none.
    return false
  }
}

/** Prints one JSON document. */
export const printJson = (value: unknown): Promise<void> =>
  writeAll(process.stdout, `${JSON.stringify(value, null, 2)}\n`)

export const printLine = (text: string): Promise<void> => writeAll(process.stdout, `${text}\n`)

/** A word to the person, which is not the answer. */
export const note = (text: string): void => {
  process.stderr.write(`caisson: ${text}\n`)
}
