import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { TarError } from './byte-reader.ts'
import { BLOCK, type TarHeader, type TarType } from './header.ts'
import { readTar, type TarRules } from './reader.ts'
import { TAR_END, writeEntry } from './writer.ts'

type Made = Partial<TarHeader> & { path: string; type?: Exclude<TarType, 'device'>; text?: string }

const STRICT = { strict: true, maxEntries: 100 }
const long = 'd/'.repeat(80)

async function pack(...entries: Made[]): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (const { text = '', ...entry } of entries) {
    const data = Buffer.from(text, 'latin1')
    const plain = {
      type: 'file' as const,
      link: '',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtimeNs: 0n,
      xattrs: new Map(),
    }
    const source = (async function* () {
      yield data
    })()
    for await (const part of writeEntry({ ...plain, ...entry, size: data.length, data: source }))
      parts.push(part)
  }
  return Buffer.concat([...parts, TAR_END])
}

/** @param piece how many bytes come at a time */
async function read(bytes: Buffer, rules: TarRules = STRICT, piece = 1000) {
  async function* source() {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
  }
  const found = []
  for await (const { data, ...entry } of readTar(source(), rules)) {
    const parts: Uint8Array[] = []
    for await (const part of data) parts.push(part)
    found.push({ ...entry, text: Buffer.concat(parts).toString('latin1') })
  }
  return found
}

function written(archive: Buffer, at: number, text: string): Buffer {
  const bytes = Buffer.from(archive)
  bytes.write(text, at, 'latin1')
  return bytes
}

/** A header with other bytes at some place, and the sum that is right for them. */
function changed(archive: Buffer, at: number, text: string): Buffer {
  const bytes = written(archive, at, text)
  bytes.write('        ', 148, 'latin1')
  const sum = bytes.subarray(0, BLOCK).reduce((all, byte) => all + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

describe('tar archives', () => {
  const entries: Made[] = [
    { path: 'a', text: 'x'.repeat(700), mode: 0o6755, uid: 12, gid: 34, mtimeNs: 1_234_567_890_123_456_789n },
    { path: `${long}\xff name\n`, text: 'y', uid: 4_000_000, gid: 2 ** 31, mtimeNs: -1_500_000_000n },
    { path: `${long}link`, type: 'symlink', link: `${long}to\xfe` },
    { path: 'again', type: 'hardlink', link: 'a' },
    { path: 'd/', type: 'directory', xattrs: new Map([['user.x', '\0\xff=\n']]) },
    { path: 'pipe', type: 'fifo' },
    { path: 'x'.repeat(99) },
    { path: 'x'.repeat(100) },
    { path: 'x'.repeat(101) },
  ]

  test.each([1, 7, 512, 513, 100_000])('are read as they were written, %i bytes at a time', async (piece) => {
    const found = await read(await pack(...entries), STRICT, piece)
    expect(found.length).toBe(entries.length)
    for (const [at, { text = '', ...entry }] of entries.entries())
      expect(found[at]).toMatchObject({ type: 'file', ...entry, text, size: text.length })
  })

  test('contents that nobody wants are passed over', async () => {
    const bytes = await pack(...entries)
    async function* source() {
      yield bytes
    }
    const names = []
    for await (const { path } of readTar(source(), STRICT)) names.push(path)
    expect(names).toEqual(entries.map(({ path }) => path))
  })

  test('GNU tar and this one read each other', async () => {
    const listed = execFileSync('tar', ['--list', '--verbose', '--numeric-owner', '--file=-'], {
      input: await pack(...entries),
      env: { PATH: process.env.PATH, TZ: 'UTC' },
    }).toString()
    expect(listed).toMatch(/^-rwsr-sr-x 12\/34 +700 2009-02-13 23:31 a$/m)
    expect(listed).toContain('4000000/2147483648')
    for (const format of ['gnu', 'posix', 'ustar', 'v7']) {
      const made = execFileSync('tar', [
        `--format=${format}`,
        '--create',
        '--directory',
        import.meta.dirname,
        '.',
      ])
      const found = await read(made, { ...STRICT, strict: false })
      expect(found.map(({ path }) => path)).toContain('./tar.test.ts')
      expect(found.find(({ path }) => path === './')?.type).toBe('directory')
    }
  })

  const refused: [string, (archive: Buffer) => Buffer][] = [
    ['a header that was changed', (bytes) => written(bytes, 0, 'b')],
    ['a number that is none', (bytes) => changed(bytes, 124, 'xyz')],
    ['a number that is too large', (bytes) => changed(bytes, 124, '\x80\xff\xff\xff\xff\xff\xff\xff')],
    ['a type that is not known', (bytes) => changed(bytes, 156, 'Z')],
    ['a sparse file', (bytes) => changed(bytes, 156, 'S')],
    ['an extended header that is none', (bytes) => changed(bytes, 156, 'x')],
    [
      'a name that is longer than a name can be',
      (bytes) => changed(changed(bytes, 156, 'L'), 124, '77777777777'),
    ],
    ['contents that are cut', (bytes) => bytes.subarray(0, BLOCK + 3)],
    ['a header that is cut', (bytes) => bytes.subarray(0, 100)],
    ['an end that is missing', (bytes) => bytes.subarray(0, -1024)],
    ['half an end', (bytes) => bytes.subarray(0, -512)],
    ['more behind the end', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['something between the entries', (bytes) => written(bytes, 2 * BLOCK - 1, 'x')],
  ]
  test.each(refused)('%s is refused', async (_, change) => {
    const archive = change(await pack({ path: 'a', text: 'contents' }))
    await expect(read(archive)).rejects.toThrow(TarError)
  })

  test.each(['GNU.sparse.major=1', 'size=-1', 'size=99999999999999999999', 'mtime=soon', 'uid=x'])(
    'a record %s is refused',
    async (text) => {
      const record = `${text.length + 4} ${text}\n`
      const header = changed(await pack({ path: 'h', text: record }), 156, 'x')
      const rest = await pack({ path: 'a' })
      await expect(read(Buffer.concat([header.subarray(0, -1024), rest]))).rejects.toThrow(TarError)
    },
  )

  test('no more entries are read than are allowed', async () => {
    await expect(read(await pack(...entries), { strict: true, maxEntries: 8 })).rejects.toThrow('more than 8')
  })

  test('whatever is changed, it is read or refused', async () => {
    const whole = await pack(...entries)
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(whole)
      for (let change = 0; change <= round % 4; change++)
        bytes[(round * 7919 + change * 104_729) % bytes.length] = (round * 31 + change * 17) % 256
      await read(bytes, { ...STRICT, strict: round % 2 === 0 }, 512).catch((error) =>
        expect(error).toBeInstanceOf(TarError),
      )
    }
  })
})
