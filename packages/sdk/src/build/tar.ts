const BLOCK = 512
const encoder = new TextEncoder()

/** An entry of an archive; `data` holds exactly `size` bytes. */
export type TarEntry = { path: string } & (
  | { type: 'file'; mode: number; size: number; mtimeMs: number; data: AsyncIterable<Uint8Array> }
  | { type: 'link'; target: string }
)

/** A POSIX tar archive, made while it is read. Names may be of any length. */
export async function* tar(
  entries: Iterable<TarEntry> | AsyncIterable<TarEntry>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const entry of entries) {
    const size = entry.type === 'file' ? entry.size : 0
    yield* attributes(entry)
    yield header(entry, size)
    if (entry.type !== 'file') continue
    yield* entry.data
    yield padding(size)
  }
  yield new Uint8Array(2 * BLOCK)
}

/** What a header's fields cannot hold comes before it, as an entry of its own. */
function* attributes(entry: TarEntry): Generator<Uint8Array> {
  const link = entry.type === 'link' ? entry.target : ''
  const size = entry.type === 'file' ? entry.size : 0
  const records = [
    fits(entry.path) ? '' : record('path', entry.path),
    fits(link) ? '' : record('linkpath', link),
    size < 0o100000000000 ? '' : record('size', String(size)),
  ].join('')
  if (records === '') return
  const bytes = encoder.encode(records)
  yield block({ name: 'attributes', mode: 0o644, size: bytes.length, time: 0, type: 'x', link: '' })
  yield bytes
  yield padding(bytes.length)
}

/** A field of a header is 100 bytes of ASCII. */
const fits = (text: string): boolean => text.length <= 100 && !/[^\x20-\x7e]/.test(text)

/** "length key=value\n", where the length counts itself. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const bytes = encoder.encode(rest).length
  let length = bytes + 1
  while (String(length).length + bytes !== length) length = String(length).length + bytes
  return `${length}${rest}`
}

function header(entry: TarEntry, size: number): Uint8Array {
  const name = fits(entry.path) ? entry.path : 'long'
  if (entry.type === 'link') {
    const link = fits(entry.target) ? entry.target : 'long'
    return block({ name, mode: 0o777, size: 0, time: 0, type: '2', link })
  }
  const time = Math.max(0, Math.floor(entry.mtimeMs / 1000))
  return block({ name, mode: entry.mode, size, time, type: '0', link: '' })
}

interface Fields {
  name: string
  mode: number
  size: number
  /** Seconds since 1970. */
  time: number
  type: string
  link: string
}

function block({ name, mode, size, time, type, link }: Fields): Uint8Array {
  const bytes = new Uint8Array(BLOCK)
  const put = (text: string, at: number) => bytes.set(encoder.encode(text), at)
  const number = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  put(name, 0)
  put(number(mode, 7), 100)
  put(number(0, 7), 108)
  put(number(0, 7), 116)
  // What does not fit is in the attributes.
  put(number(size < 0o100000000000 ? size : 0, 11), 124)
  put(number(time, 11), 136)
  put('        ', 148)
  put(type, 156)
  put(link, 157)
  put('ustar\x0000', 257)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return bytes
}

const padding = (size: number): Uint8Array => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK)
