import { read, write, writeSync } from 'node:fs'
import { promisify } from 'node:util'

const readOnce = promisify(read)
const writeOnce = promisify(write)

/** Reads at most `length` bytes in the thread pool. @returns how many */
export async function readAsync(
  fd: number,
  buffer: Uint8Array,
  length: number,
  position: number,
): Promise<number> {
  return (await readOnce(fd, buffer, 0, length, position)).bytesRead
}

/** Bytes and their place in a file. */
export interface Piece {
  fd: number
  data: Uint8Array
  position: number
  /** Told after every part that is in the file. */
  wrote(bytes: number): void
}

export function writeInPlace({ fd, data, position, wrote }: Piece): void {
  for (let at = 0; at < data.length; ) {
    const written = writeSync(fd, data, at, data.length - at, position + at)
    at += written
    wrote(written)
  }
}

export async function writeInPool({ fd, data, position, wrote }: Piece): Promise<void> {
  for (let at = 0; at < data.length; ) {
    const { bytesWritten } = await writeOnce(fd, data, at, data.length - at, position + at)
    at += bytesWritten
    wrote(bytesWritten)
  }
}
