import { describe, expect, test } from 'vitest'
import { LineCutter, MAX_LINE } from './log-lines.ts'
import { tailOffset } from './log-tail.ts'
import { compileGrep, LogText, type TextOptions } from './log-text.ts'
import type { OutputChunk } from './use-cases.ts'

type Said = [stream: OutputChunk['stream'], text: string | Buffer, time?: number]

function chunksOf(said: Said[]): OutputChunk[] {
  let offset = 0
  return said.map(([stream, text, time = 0]) => {
    const data = Buffer.from(text)
    const chunk = { stream, data, time, offset }
    offset += data.length
    return chunk
  })
}

async function textOf(said: Said[], options: Partial<TextOptions> = {}): Promise<Buffer> {
  const cutter = new LineCutter()
  const text = new LogText({ matches: null, timestamps: false, ...options })
  const written = chunksOf(said).map((chunk) => text.write(cutter.push(chunk)))
  return Buffer.concat([...written, text.write(cutter.end())])
}

const stamp = (ms: number) => new Date(ms).toISOString()

test('a line that came in pieces is one line, with the time of its first byte', async () => {
  const said: Said[] = [
    ['stdout', 'one', 1000],
    ['stdout', ' two\nthr', 2000],
    ['stdout', 'ee\n', 3000],
  ]
  expect((await textOf(said, { timestamps: true })).toString()).toBe(
    `${stamp(1000)} one two\n${stamp(2000)} three\n`,
  )
})

test('lines of one stream are not torn by the other', async () => {
  const said: Said[] = [
    ['stdout', 'out '],
    ['stderr', 'err\nmore '],
    ['stdout', 'put\nlast'],
    ['stderr', 'err'],
  ]
  expect((await textOf(said)).toString()).toBe('err\nout put\nlast\nmore err')
})

test('a long line goes on in pieces, and only its beginning has a time', async () => {
  const long = Buffer.alloc(3 * MAX_LINE + 5, 'x')
  const said: Said[] = [
    ['stdout', long],
    ['stdout', '\nnext\n'],
  ]
  expect(await textOf(said)).toEqual(Buffer.concat([long, Buffer.from('\nnext\n')]))
  const stamped = (await textOf(said, { timestamps: true })).toString()
  expect(stamped.match(/1970/g)).toHaveLength(2)
})

test('no line is gathered without bound', () => {
  const cutter = new LineCutter()
  const sizes: number[] = []
  for (let i = 0; i < 1000; i++) {
    const chunk = { stream: 'stdout' as const, time: 0, offset: 0, data: Buffer.alloc(1000) }
    for (const { bytes } of cutter.push(chunk)) sizes.push(bytes.length)
  }
  expect(new Set(sizes)).toEqual(new Set([MAX_LINE]))
  expect(sizes.length).toBe(Math.floor(1_000_000 / MAX_LINE))
})

test('a piece that another stream interrupts begins a line of its own', async () => {
  const said: Said[] = [
    ['stdout', Buffer.alloc(MAX_LINE, 'x')],
    ['stderr', 'oops\n'],
    ['stdout', 'rest\n'],
  ]
  const lines = (await textOf(said)).toString().split('\n')
  expect(lines.map((line) => line.slice(0, 4))).toEqual(['xxxx', 'oops', 'rest', ''])
})

test('bytes that are no UTF-8 pass as they are', async () => {
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x0a, 0x80, 0x0a])
  expect(await textOf([['stdout', bytes]])).toEqual(bytes)
  expect(await textOf([['stdout', bytes]], { matches: await compileGrep('.') })).toEqual(bytes)
})

describe('grep', () => {
  const said: Said[] = [
    ['stdout', 'GET /a 200\nGET /b 500\n'],
    ['stderr', 'warn: slow\r\nGET /c 500'],
  ]
  test.each([
    ['500', 'GET /b 500\nGET /c 500'],
    ['^warn.*slow$', 'warn: slow\r\n'],
    ['(?i)WARN|/a', 'GET /a 200\nwarn: slow\r\n'],
    ['\\d{3}$', 'GET /a 200\nGET /b 500\nGET /c 500'],
    ['nothing', ''],
    ['(x+x+)+y', ''],
  ])('%s', async (expression, expected) => {
    expect((await textOf(said, { matches: await compileGrep(expression) })).toString()).toBe(expected)
  })

  test.each(['(', 'a**', '(?=x)', '\\1', 'a{1001}', '(?:(?:a{100}){10}){10}', '[[:foo:]]'])(
    'refuses %s',
    async (expression) => {
      await expect(compileGrep(expression)).rejects.toMatchObject({ code: 'invalid_request' })
    },
  )

  test('takes a time that is linear in the line', async () => {
    const matches = await compileGrep('(a*)*(a*)*b|(x|x|x)*y')
    expect(matches(Buffer.alloc(MAX_LINE, 'a'))).toBe(false)
    expect(matches(Buffer.alloc(MAX_LINE, 'x'))).toBe(false)
  })
})

describe('tail', () => {
  const source = (said: Said[], stream: 'all' | OutputChunk['stream'] = 'all') => {
    const chunks = chunksOf(said)
    const end = chunks.reduce((sum, { data }) => sum + data.length, 0)
    return {
      start: 0,
      end,
      wants: (other: OutputChunk['stream']) => stream === 'all' || stream === other,
      async *read(from: number) {
        for (const { offset, data, ...rest } of chunks) {
          const skip = Math.max(0, from - offset)
          if (skip < data.length) yield { ...rest, offset: offset + skip, data: data.subarray(skip) }
        }
      },
    }
  }

  test.each([
    ['a\nb\nc\n', 0, 6],
    ['a\nb\nc\n', 1, 4],
    ['a\nb\nc', 1, 4],
    ['a\nb\nc\n', 2, 2],
    ['a\nb\nc\n', 3, 0],
    ['a\nb\nc\n', 100, 0],
    ['\n\n\n', 1, 2],
    ['\n\n\n', 2, 1],
    ['', 5, 0],
    ['no newline', 1, 0],
  ])('%j, the last %d', async (text, lines, offset) => {
    expect(await tailOffset(source([['stdout', text]]), lines)).toBe(offset)
  })

  test('counts the lines of one stream alone', async () => {
    const said: Said[] = [
      ['stdout', 'one\n'],
      ['stderr', 'e1\ne2\n'],
      ['stdout', 'two\n'],
      ['stderr', 'e3\n'],
    ]
    expect(await tailOffset(source(said, 'stdout'), 1)).toBe(4)
    expect(await tailOffset(source(said, 'stderr'), 2)).toBe(7)
    expect(await tailOffset(source(said), 2)).toBe(10)
  })

  test('reads back no further than it has to', async () => {
    const line = `${'x'.repeat(99)}\n`
    const from = source([['stdout', line.repeat(100_000)]])
    const asked: number[] = []
    const read = from.read
    from.read = (offset) => {
      asked.push(offset)
      return read(offset)
    }
    expect(await tailOffset(from, 5000)).toBe(9_500_000)
    expect(Math.min(...asked)).toBeGreaterThan(9_000_000)
  })
})
