import { crc32, deflateRawSync } from 'node:zlib'

/** Archives byte by byte, so that they can be what no honest program makes. */

export interface TarOptions {
  type?: string
  link?: string
  content?: Uint8Array | string
  mode?: number
  /** The size that the header claims. */
  size?: number
}

/** One entry of a tar archive. */
export function tarEntry(name: string, options: TarOptions = {}): Buffer {
  const content = Buffer.from(options.content ?? '')
  const header = Buffer.alloc(512)
  header.write(name, 0, 100)
  header.write(octal(options.mode ?? 0o644, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(options.size ?? content.length, 11), 124)
  header.write(octal(1_700_000_000, 11), 136)
  header.write(options.type ?? '0', 156)
  header.write(options.link ?? '', 157, 100)
  header.write('ustar\x0000', 257, 'latin1')
  header.fill(' ', 148, 156)
  header.write(
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    ),
    148,
  )
  header[154] = 0
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

export function tar(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(1024)])
}

/** A pax header for the entry after it. */
export function pax(attributes: Record<string, string>, type = 'x'): Buffer {
  const records = Object.entries(attributes).map(([name, value]) => {
    const rest = Buffer.byteLength(` ${name}=${value}\n`)
    let length = rest + String(rest).length
    if (rest + String(length).length !== length) length = rest + String(length).length
    return `${length} ${name}=${value}\n`
  })
  return tarEntry('pax', { type, content: records.join('') })
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

export interface ZipOptions {
  content?: Uint8Array | string
  /** Unix mode with its type, such as 0o120777. */
  mode?: number
  flags?: number
  method?: number
  /** What the directory claims instead of the truth. */
  size?: number
  crc?: number
  /** Where the directory says that it begins. */
  offset?: number
}

/** A zip archive of deflated entries. */
export function zip(...entries: [name: string | Buffer, options?: ZipOptions][]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const [text, options = {}] of entries) {
    const name = Buffer.from(text as string)
    const content = Buffer.from(options.content ?? '')
    const packed = deflateRawSync(content)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(options.flags ?? 0x800, 2)
    common.writeUInt16LE(options.method ?? 8, 4)
    common.writeUInt32LE(options.crc ?? crc32(content), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(options.size ?? content.length, 18)
    common.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, packed])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(((options.mode ?? 0o100644) << 16) >>> 0, 6)
    tail.writeUInt32LE(options.offset ?? at, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03', 'latin1'), common, tail, name]))
    if (options.offset === undefined) {
      parts.push(local)
      at += local.length
    }
  }
  const records = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(records.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, records, end])
}
