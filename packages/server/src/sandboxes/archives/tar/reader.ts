import { ByteReader, TarError } from './byte-reader.ts'
import { applyRecords, BLOCK, padding, parseHeader, parseRecords, type TarHeader, typeOf } from './header.ts'

/** An entry as it is read. `data` must be read, or left alone, before the next one is asked for. */
export interface TarRead extends TarHeader {
  /** Its header blocks, extended ones included. */
  head: Buffer
  data: AsyncIterable<Uint8Array>
}

export interface TarRules {
  /** Nothing but what this project writes: bytes that mean nothing are refused. */
  strict: boolean
  /** Entries that an archive has at most. */
  maxEntries: number
}

/** Of one entry's extended headers, and of a GNU name. */
const MAX_EXTENDED = 1024 * 1024

/** The entries of a tar archive, in constant memory. @throws TarError */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  { strict, maxEntries }: TarRules,
): AsyncGenerator<TarRead> {
  const bytes = new ByteReader(source)
  try {
    for (let count = 0; ; ) {
      const next = await readHeader(bytes, strict)
      if (next === null) break
      if (++count > maxEntries) throw new TarError(`it has more than ${maxEntries} entries`)
      const contents = bytes.through(next.size)
      yield { ...next, data: contents }
      for await (const _ of contents);
      await skipPadding(bytes, next.size, strict)
    }
    await readEnd(bytes, strict)
  } finally {
    await bytes.close()
  }
}

async function readHeader(
  bytes: ByteReader,
  strict: boolean,
): Promise<(TarHeader & { head: Buffer }) | null> {
  const blocks: Buffer[] = []
  const said = {
    records: new Map<string, string>(),
    path: null as string | null,
    link: null as string | null,
  }
  let room = MAX_EXTENDED
  for (;;) {
    const block = await bytes.exactly(BLOCK)
    if (block === null || block.every((byte) => byte === 0)) {
      if (block === null && strict) throw new TarError('its end is missing')
      if (blocks.length > 0) throw new TarError('an extended header stands alone')
      return null
    }
    blocks.push(block)
    const { flag, header } = parseHeader(block)
    if (!'xgLK'.includes(flag)) {
      const named = { ...header, path: said.path ?? header.path, link: said.link ?? header.link }
      const whole = applyRecords(named, said.records)
      const type = typeOf(flag, whole.path)
      return { ...whole, type, size: type === 'file' ? whole.size : 0, head: Buffer.concat(blocks) }
    }
    room -= header.size + BLOCK
    if (room < 0) throw new TarError('an extended header is too long')
    const data = (await bytes.exactly(header.size)) ?? Buffer.alloc(0)
    await skipPadding(bytes, header.size, strict)
    blocks.push(data, padding(header.size))
    if (flag === 'x') said.records = parseRecords(data)
    else if (flag === 'L') said.path = cText(data)
    else if (flag === 'K') said.link = cText(data)
    else if (strict) throw new TarError('it has a global header')
  }
}

function cText(data: Buffer): string {
  const end = data.indexOf(0)
  return data.toString('latin1', 0, end < 0 ? data.length : end)
}

async function skipPadding(bytes: ByteReader, size: number, strict: boolean): Promise<void> {
  const { length } = padding(size)
  if (length === 0) return
  const filled = await bytes.exactly(length)
  if (filled === null) throw new TarError('it ends in the middle')
  if (strict && filled.some((byte) => byte !== 0))
    throw new TarError('there is something between its entries')
}

/** Behind the first block of zeros. */
async function readEnd(bytes: ByteReader, strict: boolean): Promise<void> {
  if (strict && (await bytes.exactly(BLOCK))?.every((byte) => byte === 0) !== true)
    throw new TarError('its end is missing')
  for await (const piece of bytes.rest())
    if (strict && piece.length > 0) throw new TarError('there is something behind its end')
}
