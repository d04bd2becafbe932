import { describe, expect, test } from 'vitest'
import { boundaryOf, partsOf } from './multipart.ts'

const BOUNDARY = 'b'
const head = (rest: string) => `Content-Disposition: form-data; ${rest}`
const part = (headers: string, text: string) => `--b\r\n${headers}\r\n\r\n${text}\r\n`
const END = '--b--\r\n'

/** The bytes in pieces of one size, so that every boundary is cut everywhere. */
async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(text: string, size = 64 * 1024) {
  const found: { name: string | null; filename: string | null; text: string }[] = []
  for await (const { name, filename, data } of partsOf(inPieces(text, size), BOUNDARY)) {
    const pieces: Uint8Array[] = []
    for await (const piece of data) pieces.push(piece)
    found.push({ name, filename, text: Buffer.concat(pieces).toString() })
  }
  return found
}

test.each([1, 2, 3, 5, 7, 64, 65_536])('reads parts in pieces of %i', async (size) => {
  const tricky = '\r\n--\r\n-b\r\n--c\r\r\n--'
  const text = `${part(head('name="file"; filename="dir/a"'), tricky)}${part(head('name=x'), '')}${END}after`
  expect(await read(text, size)).toEqual([
    { name: 'file', filename: 'dir/a', text: tricky },
    { name: 'x', filename: null, text: '' },
  ])
})

test('passes over what nobody reads, and what somebody leaves', async () => {
  const text = [1, 2, 3].map((n) => part(head(`name="${n}"`), `${n}`.repeat(100_000))).join('') + END
  const names: (string | null)[] = []
  for await (const { name, data } of partsOf(inPieces(text, 1000), BOUNDARY)) {
    names.push(name)
    if (name === '2') for await (const _ of data) break
  }
  expect(names).toEqual(['1', '2', '3'])
})

test('gives the body back when it is left', async () => {
  let left = false
  const body = (async function* () {
    try {
      for (;;) yield Buffer.from(part(head('name="a"'), 'x'))
    } finally {
      left = true
    }
  })()
  for await (const _ of partsOf(body, BOUNDARY)) break
  expect(left).toBe(true)
})

test.each([
  ['name="file"; filename="a b;c=d"', 'a b;c=d'],
  ['name="file"; filename="q%22q"', 'q"q'],
  ['name="file"; filename="l%0D%0Al"', 'l\r\nl'],
  ['name="file"; filename="100%25"', '100%25'],
  ['name="file"; filename="q\\"q\\\\"', 'q"q\\'],
  ['name="file"; filename="C:\\x\\y"', 'C:\\x\\y'],
  ['name="file"; filename="end\\"', 'end\\'],
  ['filename="é/ü" ; NAME="file"', 'é/ü'],
  ['name=file; filename=plain', 'plain'],
  ["name=file; filename=plain; filename*=UTF-8''%C3%A9%2Fx", 'é/x'],
  ["name=file; filename=plain; filename*=UTF-8''%zz", 'plain'],
  ['name="file"; filename=""', ''],
  ['name="file"', null],
])('reads the name of %s', async (rest, filename) => {
  expect(await read(part(head(rest), 'x') + END)).toEqual([{ name: 'file', filename, text: 'x' }])
})

test('a header that is made to be slow is read all the same', async () => {
  const nasty = `name="${'\\"'.repeat(4000)}; filename=${'"\\'.repeat(1000)}`
  expect(await read(part(head(nasty), 'x') + END)).toMatchObject([{ text: 'x' }])
})

describe('refuses', () => {
  const good = part(head('name="a"'), 'x')
  test.each([
    ['nothing', ''],
    ['no boundary', 'x'.repeat(100)],
    ['a late beginning', `${'x'.repeat(5000)}\r\n${good}${END}`],
    ['no end', good],
    ['an end within a part', good.slice(0, -4)],
    ['an end within a head', '--b\r\nContent-Disposition: form-data'],
    ['a boundary that goes on', `${good}--bad\r\n`],
    ['a long line behind a boundary', `--b${' '.repeat(5000)}\r\n${head('name=a')}\r\n\r\nx\r\n${END}`],
    ['a long head', part(`X: ${'x'.repeat(17_000)}`, 'x') + END],
    ['no disposition', part('X: y', 'x') + END],
    ['no head', `--b\r\n\r\nx\r\n${END}`],
    ['another disposition', part('Content-Disposition: attachment; name="a"', 'x') + END],
    ['too many parts', good.repeat(10_001) + END],
  ])('%s', async (_what, text) => {
    await expect(read(text)).rejects.toMatchObject({ name: 'Refused', status: 400 })
    if (text.length < 20_000) await expect(read(text, 1)).rejects.toMatchObject({ status: 400 })
  })
})

test.each([
  ['multipart/form-data; boundary=abc', 'abc'],
  ['Multipart/Form-Data;Boundary="a b"', 'a b'],
  ['multipart/form-data; charset=utf-8; boundary=----x', '----x'],
  ['application/json; boundary=abc', null],
  [undefined, null],
])('finds the boundary of %s', (type, boundary) => {
  expect(boundaryOf(type)).toBe(boundary)
})

test.each([
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary="a "',
  `multipart/form-data; boundary=${'x'.repeat(71)}`,
  'multipart/form-data; boundary="a\r\nb"',
])('refuses the boundary of %j', (type) => {
  expect(() => boundaryOf(type)).toThrow(expect.objectContaining({ status: 400 }))
})

test('survives whatever is sent', async () => {
  const pieces = [
    '--b',
    '\r\n',
    '--',
    'Content-Disposition: form-data; name="x"',
    '\r\n\r\n',
    'data',
    '"',
    '\0',
    'é',
    ';',
  ]
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  for (let i = 0; i < 3000; i++) {
    const text = Array.from({ length: random(30) }, () => pieces[random(pieces.length)]).join('')
    await read(`--b\r\n${text}`, 1 + random(20)).catch((error) =>
      expect(error).toMatchObject({ status: 400 }),
    )
  }
})
