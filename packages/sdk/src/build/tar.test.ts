import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { gather } from '../transport/transport.ts'
import { type TarEntry, tar } from './tar.ts'

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  for (const line of text.split(/(?<=\n)/)) yield Buffer.from(line)
}

const file = (path: string, text: string, mode = 0o644): TarEntry => ({
  path,
  type: 'file',
  mode,
  size: Buffer.byteLength(text),
  mtimeMs: 1_700_000_000_500,
  data: pieces(text),
})

test('the system’s tar gives back what went in', async () => {
  const root = mkdtempSync(join(tmpdir(), 'caisson-tar-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const long = `${'d'.repeat(90)}/${'n'.repeat(200)}`
  const contents: Record<string, string> = {
    empty: '',
    'a/b.txt': 'one\ntwo\n',
    'exactly-a-block': 'x'.repeat(512),
    'a block and one': 'y'.repeat(513),
    'ünïcode/😀': 'z',
    [long]: 'long',
    ' leading space': 's',
  }
  const entries = Object.entries(contents).map(([path, text]) => file(path, text))
  const links: [string, string][] = [
    ['link', 'a/b.txt'],
    ['away', '/nowhere/ü'],
    ['far', 't'.repeat(150)],
  ]
  const archive = await gather(
    tar([
      ...entries,
      file('run.sh', '#!/bin/sh\n', 0o755),
      ...links.map(([path, target]): TarEntry => ({ path, type: 'link', target })),
    ]),
  )
  expect(archive.length % 512).toBe(0)
  execFileSync('tar', ['x', '-C', root], { input: archive, env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  for (const [path, text] of Object.entries(contents))
    expect(readFileSync(join(root, path), 'utf8')).toBe(text)
  for (const [path, target] of links) expect(readlinkSync(join(root, path))).toBe(target)
  expect(lstatSync(join(root, 'run.sh')).mode & 0o777).toBe(0o755)
  expect(lstatSync(join(root, 'empty')).mtimeMs).toBe(1_700_000_000_000)
})

test('a size that a header cannot hold is an attribute', async () => {
  const size = 9 * 2 ** 30
  const entry: TarEntry = { path: 'big', type: 'file', mode: 0o644, size, mtimeMs: 0, data: pieces('') }
  const first = tar([entry])
  const blocks = [await first.next(), await first.next()].map(({ value }) => Buffer.from(value!).toString())
  expect(blocks[1]).toContain(`size=${size}\n`)
  await first.return()
})
