import { BLOCK, encodeHeader, padding, type TarHeader, type TarType } from './header.ts'

export interface TarWrite extends TarHeader {
  type: Exclude<TarType, 'device'>
  data: AsyncIterable<Uint8Array> | null
}

/** Sees an entry's header blocks and contents on their way. */
export type Witness = (bytes: Uint8Array) => void

/** One entry of an archive. `size` bytes must come from a file's `data`. */
export async function* writeEntry(entry: TarWrite, witness: Witness = () => {}): AsyncGenerator<Uint8Array> {
  const head = encodeHeader(entry)
  witness(head)
  yield head
  if (entry.type !== 'file') return
  let left = entry.size
  for await (const piece of entry.data ?? []) {
    left -= piece.length
    if (left < 0) break
    witness(piece)
    yield piece
  }
  if (left !== 0) throw new Error('A file does not have the bytes that were announced')
  yield padding(entry.size)
}

/** What an archive ends with. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK)
