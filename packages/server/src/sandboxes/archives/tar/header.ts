import { TarError } from './byte-reader.ts'

export const BLOCK = 512

/** `device`: a character or block device. Text is bytes, a character for each (`latin1`). */
export type TarType = 'file' | 'hardlink' | 'symlink' | 'directory' | 'fifo' | 'device'

export interface TarHeader {
  type: TarType
  /** As the archive has it. */
  path: string
  link: string
  size: number
  mode: number
  uid: number
  gid: number
  mtimeNs: bigint
  xattrs: Map<string, string>
}

/** Types of header blocks; the others tell of the block that follows them. */
const TYPES: Record<string, TarType> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
}
const FLAGS: Record<Exclude<TarType, 'device'>, string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  directory: '5',
  fifo: '6',
}
const NS = 1_000_000_000n
const XATTR = 'SCHILY.xattr.'

/** What a header block says by itself. @throws TarError */
export function parseHeader(block: Buffer): { flag: string; header: Omit<TarHeader, 'type'> } {
  const sum = octal(block, 148, 8)
  if (sum !== checksum(block)) throw new TarError('a header has a wrong checksum')
  const magic = block.toString('latin1', 257, 263)
  const prefix = magic === 'ustar\0' ? text(block, 345, 155) : ''
  const name = text(block, 0, 100)
  const header = {
    path: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block, 157, 100),
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtimeNs: BigInt(number(block, 136, 12)) * NS,
    xattrs: new Map<string, string>(),
  }
  return { flag: String.fromCharCode(block[156]!), header }
}

/** @throws TarError for what is not known, sparse files included */
export function typeOf(flag: string, path: string): TarType {
  const type = TYPES[flag]
  if (type === undefined) throw new TarError(`an entry has the unknown type ${JSON.stringify(flag)}`)
  // Archives from before there was a type for directories.
  return type === 'file' && path.endsWith('/') ? 'directory' : type
}

/** Records of an extended header, `length key=value\n` each. @throws TarError */
export function parseRecords(data: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at)
    const digits = space < 0 ? '' : data.toString('latin1', at, space)
    const end = at + Number(digits)
    if (!/^[0-9]{1,7}$/.test(digits) || end > data.length || end <= space + 1 || data[end - 1] !== 0x0a)
      throw new TarError('an extended header is not valid')
    const record = data.toString('latin1', space + 1, end - 1)
    const equals = record.indexOf('=')
    if (equals <= 0) throw new TarError('an extended header is not valid')
    records.set(record.slice(0, equals), record.slice(equals + 1))
    at = end
  }
  return records
}

/** Lets an extended header's records take precedence. @throws TarError */
export function applyRecords<T extends Omit<TarHeader, 'type'>>(header: T, records: Map<string, string>): T {
  const changed = { ...header, xattrs: new Map(header.xattrs) }
  for (const [key, value] of records) {
    if (key === 'path') changed.path = value
    else if (key === 'linkpath') changed.link = value
    else if (key === 'size' || key === 'uid' || key === 'gid') changed[key] = whole(value)
    else if (key === 'mtime') changed.mtimeNs = nanoseconds(value)
    else if (key.startsWith(XATTR)) changed.xattrs.set(key.slice(XATTR.length), value)
    else if (key.startsWith('GNU.sparse.')) throw new TarError('sparse files are not taken')
  }
  return changed
}

/** The header of an entry, with an extended one before it where the plain one cannot say everything. */
export function encodeHeader(entry: TarHeader & { type: Exclude<TarType, 'device'> }): Buffer {
  const records = recordsOf(entry)
  const plain = block(FLAGS[entry.type], entry)
  if (records.length === 0) return plain
  const size = records.length
  const extended = { path: 'extended', link: '', size, mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n }
  return Buffer.concat([block('x', extended), records, padding(size), plain])
}

/** What fills the last block up. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
}

/** Largest numbers of the plain fields. */
const MAX_7 = 0o7777777
const MAX_11 = 0o77777777777

function recordsOf({ path, link, size, uid, gid, mtimeNs, xattrs }: TarHeader): Buffer {
  const records: string[] = []
  const add = (key: string, value: string) => records.push(record(key, value))
  if (path.length > 100) add('path', path)
  if (link.length > 100) add('linkpath', link)
  if (size > MAX_11) add('size', String(size))
  if (uid > MAX_7) add('uid', String(uid))
  if (gid > MAX_7) add('gid', String(gid))
  const seconds = mtimeNs / NS
  if (mtimeNs < 0n || mtimeNs % NS !== 0n || seconds > MAX_11) add('mtime', decimal(mtimeNs))
  for (const [name, value] of xattrs) add(`${XATTR}${name}`, value)
  return Buffer.from(records.join(''), 'latin1')
}

/** The length counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}

function decimal(ns: bigint): string {
  const positive = ns < 0n ? -ns : ns
  return `${ns < 0n ? '-' : ''}${positive / NS}.${String(positive % NS).padStart(9, '0')}`
}

function block(flag: string, header: Omit<TarHeader, 'type' | 'xattrs'>): Buffer {
  const { path, link, size, mode, uid, gid, mtimeNs } = header
  const seconds = Number(mtimeNs / NS)
  const out = Buffer.alloc(BLOCK)
  const put = (at: number, width: number, value: number, max: number) =>
    out.write((value < 0 || value > max ? 0 : value).toString(8).padStart(width - 1, '0'), at, 'latin1')
  out.write(path.slice(0, 100), 0, 'latin1')
  put(100, 8, mode, MAX_7)
  put(108, 8, uid, MAX_7)
  put(116, 8, gid, MAX_7)
  put(124, 12, size, MAX_11)
  put(136, 12, seconds, MAX_11)
  out.write('        ', 148, 'latin1')
  out.write(flag, 156, 'latin1')
  out.write(link.slice(0, 100), 157, 'latin1')
  out.write('ustar\x0000', 257, 'latin1')
  out.write(`${checksum(out).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return out
}

function checksum(block: Buffer): number {
  let sum = 8 * 0x20
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at]!
  return sum
}

function text(block: Buffer, at: number, size: number): string {
  const end = block.indexOf(0, at)
  return block.toString('latin1', at, end < 0 || end > at + size ? at + size : end)
}

/** Octal, or with its highest bit set a binary number. */
function number(block: Buffer, at: number, size: number): number {
  if ((block[at]! & 0x80) === 0) return octal(block, at, size)
  const negative = block[at] === 0xff
  if (!negative && block[at] !== 0x80) throw new TarError('a number is out of range')
  let value = 0n
  for (let index = at + 1; index < at + size; index++) value = value * 256n + BigInt(block[index]!)
  const signed = negative ? value - (1n << BigInt(8 * (size - 1))) : value
  if (!Number.isSafeInteger(Number(signed))) throw new TarError('a number is out of range')
  return Number(signed)
}

function octal(block: Buffer, at: number, size: number): number {
  const digits = text(block, at, size).trim()
  if (!/^[0-7]*$/.test(digits)) throw new TarError('a header is not valid')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function whole(digits: string): number {
  const value = /^[0-9]{1,16}$/.test(digits) ? Number(digits) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new TarError('an extended header has a number that is none')
  return value
}

function nanoseconds(text: string): bigint {
  const found = /^(-?)([0-9]{1,12})(?:\.([0-9]{0,18}))?$/.exec(text)
  if (found === null) throw new TarError('an extended header has a time that is none')
  const [, sign, seconds, fraction = ''] = found
  const ns = BigInt(seconds!) * NS + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return sign === '-' ? -ns : ns
}
