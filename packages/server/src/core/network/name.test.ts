import { expect, test } from 'vitest'
import { canonicalName, isLocalName, zonesOf } from './name.ts'

test.each([
  ['example.com', 'example.com'],
  ['EXAMPLE.Com.', 'example.com'],
  ['_dmarc.example.com', '_dmarc.example.com'],
  ['r3---sn-x.example.com', 'r3---sn-x.example.com'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['BÜCHER.example', 'xn--bcher-kva.example'],
  ['例え。テスト', 'xn--r8jz45g.xn--zckzah'],
  ['ｅｘａｍｐｌｅ.com', 'example.com'],
  ['localhost', 'localhost'],
  ['1.example.1a', '1.example.1a'],
])('%s is the name %s', (text, name) => {
  expect(canonicalName(text)).toBe(name)
})

test.each([
  '',
  '.',
  '..',
  'a..b',
  '.example.com',
  'example.com..',
  'exa mple.com',
  'evil\0.good.com',
  'good.com\n',
  'good.com\t',
  'a@b.com',
  'a%2eb.com',
  'a:b.com',
  'a/b.com',
  'a\\b.com',
  'a?b.com',
  'a#b.com',
  '*.com',
  '[::1]',
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f.1',
  '0x7f000001',
  'a.0x',
  'example.123',
  '１２７.０.０.１',
  'ⅰ.2.3.４',
  'a\u200bb\u0000.com',
  'a\u3000b.com',
  'a℀b.com',
  `${'a'.repeat(64)}.com`,
  `${'a.'.repeat(127)}com`,
  'ü'.repeat(2000),
])('%j is no name', (text) => {
  expect(canonicalName(text)).toBeNull()
})

test('every name is its own canonical form, and URLs agree on the host', () => {
  const alphabet = 'abcZ019-_.ßéⅠ０．%@\0 :/'
  for (let n = 0; n < 20_000; n++) {
    const text = Array.from(
      { length: 1 + Math.random() * 8 },
      () => alphabet[Math.floor(Math.random() * alphabet.length)],
    ).join('')
    const name = canonicalName(text)
    if (name === null) continue
    expect(canonicalName(name)).toBe(name)
    const host = URL.parse(`http://${name}/`)?.hostname
    if (host !== undefined) expect(host).toBe(name)
  }
})

test('names of the host’s own network are known', () => {
  for (const name of [
    'localhost',
    'a.localhost',
    'metadata',
    'metadata.google.internal',
    'printer.local',
    'router.home.arpa',
  ]) {
    expect([name, isLocalName(name)]).toEqual([name, true])
  }
  for (const name of ['example.com', 'internal.example.com', 'local.test', 'mylocalhost.com']) {
    expect([name, isLocalName(name)]).toEqual([name, false])
  }
})

test('zones are told from the nearest on', () => {
  expect(zonesOf('a.b.c')).toEqual(['b.c', 'c'])
  expect(zonesOf('a')).toEqual([])
})
