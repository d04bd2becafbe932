import type { IncomingHttpHeaders } from 'node:http'
import type { FileAnswer } from './file-stream.ts'
import type { FileStat } from './map.ts'

interface Opened {
  stat: FileStat
  data: AsyncIterable<Uint8Array>
}
type Part = { offset: number; length?: number }
type Open = (part: Part) => Promise<Opened>
/** What a `Range` header asks for: from an offset on, or the last so many bytes. */
type Range = Part | { last: number }

const WHOLE: Part = { offset: 0 }

/**
 * Opens what a request with ranges and conditions is to be answered with (RFC 9110): one range is sent as 206, several
 * as the whole file. Files without a size, such as those of /proc, have neither ranges nor a tag.
 */
export async function openRange(open: Open, headers: IncomingHttpHeaders): Promise<FileAnswer> {
  const { range, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = headers
  let wish = parseRange(range)
  if (ifNoneMatch !== undefined || (wish !== null && (ifRange !== undefined || 'last' in wish))) {
    const stat = await statOf(open)
    if (ifNoneMatch !== undefined && matches(ifNoneMatch, stat)) return bodiless(304, tagOf(stat))
    if (ifRange !== undefined && ifRange !== tagOf(stat).etag) wish = null
    if (wish !== null && 'last' in wish) {
      if (wish.last === 0) return unsatisfiable(stat)
      wish = { offset: Math.max(0, stat.size - wish.last), length: wish.last }
    }
  }
  if (wish === null) return openWhole(open)
  const opened = await open(wish as Part)
  const { size } = opened.stat
  if (size === 0 || (wish as Part).offset >= size) {
    await leave(opened.data)
    return size === 0 ? openWhole(open) : unsatisfiable(opened.stat)
  }
  return partial(opened, wish as Part)
}

/** A part that was asked for by the operation's own parameters is an answer of its own, not a part of one. */
export async function openPart(open: Open, { offset, length }: Part): Promise<FileAnswer> {
  const { stat, data } = await open({ offset, ...(length !== undefined && { length }) })
  const left = Math.max(0, Math.min(stat.size - offset, length ?? Number.POSITIVE_INFINITY))
  return { status: 200, headers: {}, length: stat.size === 0 ? null : left, data }
}

async function openWhole(open: Open): Promise<FileAnswer> {
  const { stat, data } = await open(WHOLE)
  const length = stat.size === 0 ? null : stat.size
  const headers = length === null ? {} : { 'accept-ranges': 'bytes', ...tagOf(stat) }
  return { status: 200, headers, length, data }
}

function partial({ stat, data }: Opened, { offset, length }: Part): FileAnswer {
  const end = Math.min(stat.size, length === undefined ? stat.size : offset + length)
  const range = `bytes ${offset}-${end - 1}/${stat.size}`
  const headers = { 'accept-ranges': 'bytes', 'content-range': range, ...tagOf(stat) }
  return { status: 206, headers, length: end - offset, data }
}

function unsatisfiable(stat: FileStat): FileAnswer {
  return bodiless(416, { 'content-range': `bytes */${stat.size}` })
}

function bodiless(status: 304 | 416, headers: Record<string, string>): FileAnswer {
  return { status, headers, length: 0, data: nothing() }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** One range of bytes; null: none, several, or nothing that is known here, which the RFC has ignored. */
function parseRange(header: string | undefined): Range | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(' ', '') ?? '')
  const [, first = '', last = ''] = match ?? []
  if (first === '') return last === '' ? null : { last: Number(last) }
  if (last === '') return { offset: Number(first) }
  const length = Number(last) - Number(first) + 1
  return length > 0 ? { offset: Number(first), length } : null
}

/** Changes with every write: the agent puts a new file in the place of an old one, with a time of its own. */
function tagOf({ mtimeMs, size }: FileStat): { etag: string } {
  return { etag: `"${Math.round(mtimeMs * 1000).toString(16)}-${size.toString(16)}"` }
}

function matches(header: string, stat: FileStat): boolean {
  if (stat.size === 0) return false
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(tagOf(stat).etag)
}

async function statOf(open: Open): Promise<FileStat> {
  const { stat, data } = await open({ offset: 0, length: 0 })
  await leave(data)
  return stat
}

/** What was opened and is not read must be given back. */
async function leave(data: AsyncIterable<Uint8Array>): Promise<void> {
  await data[Symbol.asyncIterator]().return?.()
}
