import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { directionOf, nameFor, parseEndpoint } from './endpoint.ts'

describe('a side of a copy', () => {
  test.each([
    ['work:a/b', { kind: 'sandbox', id: 'work', path: 'a/b' }],
    ['sbx_1:/etc/a:b', { kind: 'sandbox', id: 'sbx_1', path: '/etc/a:b' }],
    ['work:', { kind: 'sandbox', id: 'work', path: '.' }],
    ['work:with\nnewline', { kind: 'sandbox', id: 'work', path: 'with\nnewline' }],
    ['./work:a', { kind: 'local', path: './work:a' }],
    ['/work:a', { kind: 'local', path: '/work:a' }],
    ['../x', { kind: 'local', path: '../x' }],
    [':a', { kind: 'local', path: ':a' }],
    ['plain', { kind: 'local', path: 'plain' }],
    ['-', { kind: 'stdio' }],
    ['-dash', { kind: 'local', path: '-dash' }],
  ])('%j', (text, endpoint) => expect(parseEndpoint(text)).toEqual(endpoint))

  test('must not be empty', () => expect(() => parseEndpoint('')).toThrow('empty'))

  describe('where a local file has such a name', () => {
    let folder: string
    const before = process.cwd()
    beforeAll(() => {
      folder = mkdtempSync('/tmp/caisson-t-')
      process.chdir(folder)
      writeFileSync('a:b', '')
    })
    afterAll(() => {
      process.chdir(before)
      rmSync(folder, { recursive: true })
    })

    test('is that file', () => {
      expect(parseEndpoint('a:b')).toEqual({ kind: 'local', path: 'a:b' })
      expect(parseEndpoint('a:c')).toMatchObject({ kind: 'sandbox' })
    })
  })
})

test('a copy goes between this machine and one sandbox', () => {
  expect(directionOf('a', 'work:b')).toEqual({ up: true, local: 'a', sandbox: 'work', path: 'b' })
  expect(directionOf('work:b', '-')).toEqual({ up: false, local: null, sandbox: 'work', path: 'b' })
  expect(() => directionOf('a:x', 'b:y')).toThrow('caisson cp a:x - | caisson cp - b:y')
  expect(() => directionOf('a', 'b')).toThrow('<sandbox>:<path>')
})

test.each([
  ['a/b', 'b'],
  ['a/b/', 'b'],
  ['/b', 'b'],
  ['a/..b', '..b'],
  ['.', undefined],
  ['..', undefined],
  ['a/.', undefined],
  ['a/../', undefined],
  ['/', undefined],
])('in a directory, %j is %j', (path, name) => expect(nameFor(path, 'sandbox')).toBe(name))
