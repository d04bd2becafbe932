/** The records of the zip format (APPNOTE 6.3), little-endian, with 64-bit fields where a number does not fit 32 bits. */
export interface ZipEntry {
  name: Buffer
  type: 'file' | 'directory' | 'symlink' | 'other'
  mode: number
  mtimeMs: number
  method: number
  /** Checksum and sizes follow the contents, because they are not known before. */
  later: boolean
  /** Its sizes may need 64 bits: decided before they are known. */
  large: boolean
  /** Where its local header begins. */
  offset: number
  crc: number
  compressed: number
  size: number
}

export const METHOD = { stored: 0, deflated: 8 } as const

const VERSION = 45
const UNIX = 3
const UTF8 = 0x0800
const DESCRIBED_LATER = 0x0008
const FULL = 0xffff_ffff
const MODES = { file: 0o100000, directory: 0o040000, symlink: 0o120000, other: 0 }
const DOS_DIRECTORY = 0x10

export function localHeader(entry: ZipEntry): Buffer {
  const { later, large } = entry
  const extra = Buffer.concat([timeField(entry), large ? field64([0, 0]) : Buffer.alloc(0)])
  const head = Buffer.alloc(30)
  head.writeUInt32LE(0x04034b50, 0)
  head.writeUInt16LE(VERSION, 4)
  writeCommon(head, 6, entry)
  head.writeUInt32LE(later ? 0 : entry.crc, 14)
  head.writeUInt32LE(large ? FULL : entry.compressed, 18)
  head.writeUInt32LE(large ? FULL : entry.size, 22)
  head.writeUInt16LE(entry.name.length, 26)
  head.writeUInt16LE(extra.length, 28)
  return Buffer.concat([head, entry.name, extra])
}

export function dataDescriptor({ crc, compressed, size, large }: ZipEntry): Buffer {
  const record = Buffer.alloc(large ? 24 : 16)
  record.writeUInt32LE(0x08074b50, 0)
  record.writeUInt32LE(crc, 4)
  if (large) {
    record.writeBigUInt64LE(BigInt(compressed), 8)
    record.writeBigUInt64LE(BigInt(size), 16)
  } else {
    record.writeUInt32LE(compressed, 8)
    record.writeUInt32LE(size, 12)
  }
  return record
}

export function centralRecord(entry: ZipEntry): Buffer {
  const numbers = [entry.size, entry.compressed, entry.offset]
  const long = numbers.filter((n) => n >= FULL)
  const extra = Buffer.concat([timeField(entry), long.length > 0 ? field64(long) : Buffer.alloc(0)])
  const [size = 0, compressed = 0, offset = 0] = numbers.map((n) => Math.min(n, FULL))
  const head = Buffer.alloc(46)
  head.writeUInt32LE(0x02014b50, 0)
  head.writeUInt16LE((UNIX << 8) | VERSION, 4)
  head.writeUInt16LE(VERSION, 6)
  writeCommon(head, 8, entry)
  head.writeUInt32LE(entry.crc, 16)
  head.writeUInt32LE(compressed, 20)
  head.writeUInt32LE(size, 24)
  head.writeUInt16LE(entry.name.length, 28)
  head.writeUInt16LE(extra.length, 30)
  const dos = entry.type === 'directory' ? DOS_DIRECTORY : 0
  head.writeUInt32LE((((MODES[entry.type] | entry.mode) << 16) | dos) >>> 0, 38)
  head.writeUInt32LE(offset, 42)
  return Buffer.concat([head, entry.name, extra])
}

/** @param offset of the directory @param size of the directory */
export function endOfArchive(entries: number, offset: number, size: number): Buffer {
  const long = entries >= 0xffff || offset >= FULL || size >= FULL
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(Math.min(entries, 0xffff), 8)
  end.writeUInt16LE(Math.min(entries, 0xffff), 10)
  end.writeUInt32LE(Math.min(size, FULL), 12)
  end.writeUInt32LE(Math.min(offset, FULL), 16)
  return long ? Buffer.concat([end64(entries, offset, size), end]) : end
}

/** The 64-bit end of the directory, and where to find it. */
function end64(entries: number, offset: number, size: number): Buffer {
  const record = Buffer.alloc(56 + 20)
  record.writeUInt32LE(0x06064b50, 0)
  record.writeBigUInt64LE(44n, 4)
  record.writeUInt16LE((UNIX << 8) | VERSION, 12)
  record.writeUInt16LE(VERSION, 14)
  record.writeBigUInt64LE(BigInt(entries), 24)
  record.writeBigUInt64LE(BigInt(entries), 32)
  record.writeBigUInt64LE(BigInt(size), 40)
  record.writeBigUInt64LE(BigInt(offset), 48)
  record.writeUInt32LE(0x07064b50, 56)
  record.writeBigUInt64LE(BigInt(offset + size), 64)
  record.writeUInt32LE(1, 72)
  return record
}

/** Flags, method and the DOS time, which two records have in the same order. */
function writeCommon(head: Buffer, at: number, entry: ZipEntry): void {
  head.writeUInt16LE(UTF8 | (entry.later ? DESCRIBED_LATER : 0), at)
  head.writeUInt16LE(entry.method, at + 2)
  const date = new Date(Math.min(Math.max(entry.mtimeMs, Date.UTC(1980)), Date.UTC(2107)))
  head.writeUInt16LE(
    (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1),
    at + 4,
  )
  head.writeUInt16LE(
    ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate(),
    at + 6,
  )
}

/** The "universal time" field, because a DOS time has no zone. */
function timeField({ mtimeMs }: ZipEntry): Buffer {
  const field = Buffer.alloc(9)
  field.writeUInt16LE(0x5455, 0)
  field.writeUInt16LE(5, 2)
  field.writeUInt8(1, 4)
  field.writeInt32LE(Math.min(Math.max(0, Math.floor(mtimeMs / 1000)), 0x7fff_ffff), 5)
  return field
}

function field64(numbers: number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length)
  field.writeUInt16LE(0x0001, 0)
  field.writeUInt16LE(8 * numbers.length, 2)
  for (const [i, n] of numbers.entries()) field.writeBigUInt64LE(BigInt(n), 4 + 8 * i)
  return field
}
