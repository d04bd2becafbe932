import { describe, expect, test } from 'vitest'
import { isChosen, mayHold, parsePattern } from './glob.ts'

const chosen = (patterns: string[], paths: string[]): string[] => {
  const parsed = patterns.flatMap(parsePattern)
  return paths.filter((path) => isChosen(parsed, path))
}

const TREE = [
  '.env',
  '.github/ci.yml',
  '.github/.secret',
  'a.js',
  'b.JS',
  'config/a.json',
  'config/deep/b.json',
  'node_modules/x/index.js',
  'src/.hidden/c.ts',
  'src/index.ts',
  'src/lib/index.test.ts',
  'src/lib/index.ts',
]

describe('one pattern chooses', () => {
  test.each<[string, string[]]>([
    ['*', ['a.js', 'b.JS']],
    ['*.js', ['a.js']],
    ['*.JS', ['b.JS']],
    ['**', TREE.filter((path) => !/(^|\/)\./.test(path))],
    ['.', TREE.filter((path) => !/(^|\/)\./.test(path))],
    ['**/*.json', ['config/a.json', 'config/deep/b.json']],
    ['config/*', ['config/a.json']],
    ['config/*.json', ['config/a.json']],
    ['config/**', ['config/a.json', 'config/deep/b.json']],
    ['config', ['config/a.json', 'config/deep/b.json']],
    ['./config/', ['config/a.json', 'config/deep/b.json']],
    ['con*/', ['config/a.json', 'config/deep/b.json']],
    ['a*/', []],
    ['src/**/index.ts', ['src/index.ts', 'src/lib/index.ts']],
    ['src/**/lib/**/*.ts', ['src/lib/index.test.ts', 'src/lib/index.ts']],
    ['src/lib/index.ts', ['src/lib/index.ts']],
    ['.env', ['.env']],
    ['.*', ['.env']],
    ['?.js', ['a.js']],
    ['[ab].*', ['a.js', 'b.JS']],
    ['[!a]*', ['b.JS']],
    ['[^a]*', ['b.JS']],
    ['[.]env', []],
    ['?env', []],
    ['.github/*', ['.github/ci.yml']],
    ['.github/.*', ['.github/.secret']],
    ['**/.hidden/*', ['src/.hidden/c.ts']],
    ['{a,b}.{js,JS}', ['a.js', 'b.JS']],
    ['{config,src/lib}/*', ['config/a.json', 'src/lib/index.test.ts', 'src/lib/index.ts']],
    ['src/{index,lib/{index,other}}.ts', ['src/index.ts', 'src/lib/index.ts']],
    ['nothing', []],
  ])('%s', (pattern, paths) => expect(chosen([pattern], TREE)).toEqual(paths))

  test.each<[string, string]>([
    ['\\*', '*'],
    ['\\!a', '!a'],
    ['a\\{b', 'a{b'],
    ['a,b', 'a,b'],
    ['[]]', ']'],
    ['[a-c]', 'b'],
    ['[\\]', '\\'],
    ['a+(b)$', 'a+(b)$'],
    ['?', '😀'],
    ['a*', 'a\nb'],
    ['a b', 'a b'],
  ])('characters: %s matches %j', (pattern, path) =>
    expect(chosen([pattern], [path, 'other'])).toEqual([path]),
  )
})

describe('several patterns', () => {
  test('the last one that matches decides', () => {
    expect(chosen(['src/**', '!**/*.test.ts'], TREE)).toEqual(['src/index.ts', 'src/lib/index.ts'])
    expect(chosen(['!**/*.test.ts', 'src/**'], TREE)).toContain('src/lib/index.test.ts')
    expect(chosen(['src', '!src/lib', 'src/lib/index.ts'], TREE)).toEqual([
      'src/index.ts',
      'src/lib/index.ts',
    ])
  })

  test('an exclusion takes away what is in a directory, and what begins with a dot', () => {
    expect(chosen(['**', '!node_modules', '!config/*'], TREE)).toEqual(
      TREE.filter((path) => !/(^|\/)\.|node_modules|config/.test(path)),
    )
    expect(chosen(['.github', '.github/.secret', '!**/*secret'], TREE)).toEqual(['.github/ci.yml'])
    expect(chosen(['.env', '!*'], TREE)).toEqual([])
  })

  test('that only exclude choose nothing, and so do none', () => {
    expect(chosen(['!a.js'], TREE)).toEqual([])
    expect(chosen([], TREE)).toEqual([])
  })
})

describe('directories in which nobody needs to look', () => {
  const holds = (patterns: string[], directory: string) => mayHold(patterns.flatMap(parsePattern), directory)

  test.each<[string[], string, boolean]>([
    [['src/**'], 'src', true],
    [['src/**'], 'src/lib', true],
    [['src/**'], 'src/.git', false],
    [['src/**'], 'node_modules', false],
    [['**', '!node_modules/**'], 'node_modules', false],
    [['**', '!node_modules'], 'a/node_modules', true],
    [['**', '!**/node_modules'], 'a/node_modules', false],
    [['**', '!node_modules', 'node_modules/own/**'], 'node_modules', true],
    [['**', '!node_modules', 'node_modules/own/**'], 'node_modules/other', false],
    [['a/*/c'], 'a/b', true],
    [['a/*/c'], 'b', false],
    [['**/.hidden/*'], 'src/.hidden', true],
    [['**/.hidden/*'], '.git', false],
  ])('%j in %s: %s', (patterns, directory, expected) => expect(holds(patterns, directory)).toBe(expected))

  test('what is chosen is never in one', () => {
    const lists = [
      ['**'],
      ['src/**', '!src/lib'],
      ['.github', '**/*.ts'],
      ['c*/**/*.json', '!node_modules', '**/x/*'],
    ]
    for (const patterns of lists)
      for (const path of chosen(patterns, TREE)) {
        const names = path.split('/')
        for (let depth = 1; depth < names.length; depth++)
          expect(holds(patterns, names.slice(0, depth).join('/'))).toBe(true)
      }
  })
})

test.each<[string, RegExp]>([
  ['', /empty/],
  ['!', /empty/],
  ['/etc/passwd', /absolute/],
  ['!/a', /absolute/],
  ['../a', /leads out/],
  ['a/../../b', /leads out/],
  ['a[b', /"\[" without/],
  ['[z-a]', /set/],
  ['a{b', /"\{" without/],
  ['a**b', /stands alone/],
  ['a\\', /ends in/],
  ['a\0b', /NUL/],
  ['{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}', /alternatives/],
])('%j is refused', (pattern, message) => expect(() => parsePattern(pattern)).toThrow(message))

test('a pattern with many stars is no trap', () => {
  const parsed = parsePattern(`${'**/a/'.repeat(6)}b`)
  expect(isChosen(parsed, `${'a/'.repeat(30)}c`)).toBe(false)
})
