import type { OutputChunk } from './use-cases.ts'

/** Bytes that are read at once on the way back from the end. */
const WINDOW = 256 * 1024
const NEWLINE = 10

export interface TailSource {
  /** Offsets of what is kept. */
  start: number
  end: number
  read(offset: number): AsyncIterable<OutputChunk>
  /** Whether this stream counts. */
  wants(stream: OutputChunk['stream']): boolean
}

/** The offset at which the last `lines` lines begin, found from the end backwards. */
export async function tailOffset(source: TailSource, lines: number): Promise<number> {
  const { start, end } = source
  if (lines === 0) return end
  let left = lines
  let last = true
  for (let to = end; to > start; ) {
    const from = Math.max(start, to - WINDOW)
    const found = await scan(source, from, to)
    // The newline at the very end finishes the last line and begins none.
    if (last && found.end > from) {
      last = false
      if (found.newlines.at(-1) === found.end - 1) found.newlines.pop()
    }
    if (found.newlines.length >= left) return found.newlines.at(-left)! + 1
    left -= found.newlines.length
    to = from
  }
  return start
}

/** Where the newlines of a window are, and where its last byte that counts ends. */
async function scan(
  { read, wants }: TailSource,
  from: number,
  to: number,
): Promise<{ newlines: number[]; end: number }> {
  const newlines: number[] = []
  let end = from
  for await (const { offset, stream, data } of read(from)) {
    if (offset >= to) break
    const bytes = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, to - offset))
    if (wants(stream)) {
      for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1))
        newlines.push(offset + at)
      end = offset + bytes.length
    }
    if (offset + data.length >= to) break
  }
  return { newlines, end }
}
