// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what a build file says.
import { describe, expect, test } from 'vitest'
import { readSpec } from './spec.ts'
import { snapshotTemplate } from './template.ts'

const read = (text: string, variables: Record<string, string> = {}, name = 'caisson-snapshot.yaml') =>
  readSpec(text, name, variables)

const WHOLE = `
version: 1
runtime: python:3.13
name: my-snapshot
description: "What: it is"
dependencies: [curl, ffmpeg=7]
packages:
  - typescript@5
files:
  - "*.js"      # with a comment
  - "!**/*.test.js"
env:
  NODE_ENV: production
  PORT: 8080
  VERSION: 1.10
  DEBUG: yes
  EMPTY: ""
  KEY: \${SECRET}
  LITERAL: $\${SECRET}
metadata:
  version: v\${VERSION}
`

describe('a build file', () => {
  test('gives every field, with texts as they were written', () => {
    const { spec, patterns, unused } = read(WHOLE, { SECRET: 's: #x', VERSION: '2', OTHER: '' })
    expect(spec).toEqual({
      runtime: 'python:3.13',
      name: 'my-snapshot',
      description: 'What: it is',
      dependencies: ['curl', 'ffmpeg=7'],
      packages: ['typescript@5'],
      files: ['*.js', '!**/*.test.js'],
      env: {
        NODE_ENV: 'production',
        PORT: '8080',
        VERSION: '1.10',
        DEBUG: 'yes',
        EMPTY: '',
        KEY: 's: #x',
        LITERAL: '${SECRET}',
      },
      metadata: { version: 'v2' },
    })
    expect(patterns.map(({ excludes, index }) => [excludes, index])).toEqual([
      [false, 0],
      [true, 1],
    ])
    expect(unused).toEqual(['OTHER'])
  })

  test('is the same as JSON', () => {
    const json = JSON.stringify({
      version: 1,
      runtime: 'base',
      env: { A: '${B}', N: 1.5, T: true },
      files: ['a'],
    })
    const { spec } = read(json, { B: 'b' }, 'caisson-snapshot.json')
    expect(spec).toMatchObject({ runtime: 'base', env: { A: 'b', N: '1.5', T: 'true' }, files: ['a'] })
  })

  test.each(['yaml', 'json'] as const)('to begin with, in %s, is one without mistakes', (format) => {
    const { spec } = read(snapshotTemplate(format), {}, `x.${format}`)
    expect(spec).toMatchObject({
      runtime: 'base:latest',
      name: 'my-snapshot',
      env: { NODE_ENV: 'production' },
    })
    expect(spec.files).toContain('!**/node_modules')
  })

  test('does not read the environment of this process', () => {
    expect(() => read('version: 1\nruntime: base\nenv: { A: "${PATH}" }')).toThrow(/needs PATH/)
  })

  test('has names of its own, and none of an object’s', () => {
    const { spec } = read('version: 1\nruntime: base\nmetadata: { __proto__: x, constructor: y }')
    expect(Object.entries(spec.metadata)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })
})

describe('mistakes are told with field and line', () => {
  const base = 'version: 1\nruntime: base\n'

  test.each<[string, RegExp]>([
    ['', /^caisson-snapshot.yaml: .*must be fields/],
    ['- a', /:1: must be fields/],
    ['runtime: base', /version is missing/],
    ['version: 2\nruntime: base', /:1: version is "2"/],
    ['version: 1', /runtime is missing/],
    ['version: 1\nruntime:', /:2: runtime has no value/],
    ['version: 1\nruntime: Not A Runtime', /:2: runtime must be .*"Not A Runtime"/],
    [`${base}runtme: x`, /:3: runtme is no field/],
    [`${base}name: My_Snapshot`, /:3: name must be lower-case/],
    [`${base}description: [a]`, /:3: description must be a text/],
    [`${base}dependencies: curl`, /:3: dependencies must be a list/],
    [`${base}packages:\n  - a\n  - { b: c }`, /:5: packages\[1\] must be a text/],
    [`${base}files:\n  - ok/**\n  - ../up`, /:5: files\[1\] "\.\.\/up" leads out/],
    [`${base}files:\n  -`, /files\[0\] has no value/],
    [`${base}env: [A]`, /:3: env must be names/],
    [`${base}env:\n  A:`, /:4: env.A has no value; write ""/],
    [`${base}env:\n  A: null`, /env.A has no value/],
    [`${base}env:\n  A-B: c`, /:4: env.A-B must be letters/],
    [`${base}env:\n  A: 1\n  A: 2`, /:5: .*unique/],
    [`${base}metadata:\n  v: \${NOPE}`, /:4: metadata.v needs NOPE, which was not given; --env NOPE/],
    [`${base}env: { A: !!js/function x }`, /tag/],
    [`${base}env: { A: &x b, C: *x }`, /env.C must be a text/],
    [`${base}\tname: x`, /:3: /],
    ['version: 1\n---\nversion: 1', /document/],
  ])('%j', (text, message) => expect(() => read(text)).toThrow(message))

  test('all of them at once, by line', () => {
    try {
      read('version: 3\nruntime: base\nenv:\n  A: ${X}\nname: NO\nnonsense: 1')
      expect.unreachable()
    } catch (error) {
      expect((error as Error).message.split('\n').map((line) => line.split(' ')[0])).toEqual([
        'caisson-snapshot.yaml:1:',
        'caisson-snapshot.yaml:4:',
        'caisson-snapshot.yaml:5:',
        'caisson-snapshot.yaml:6:',
      ])
      expect(error).toMatchObject({ code: 'invalid_request', details: { issues: { length: 4 } } })
    }
  })

  test('a file that ends in .json is JSON', () => {
    expect(() => read('{"version": 1, "runtime": "base",}', {}, 'a.json')).toThrow(/a.json: is not JSON/)
    expect(() => read(base, {}, 'a.json')).toThrow(/is not JSON/)
  })
})
