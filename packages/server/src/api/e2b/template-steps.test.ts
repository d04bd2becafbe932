import { BuildStep } from '@caisson/protocol/resources'
import { expect, test } from 'vitest'
import { fromImage, type Step, toStep } from './template-steps.ts'

const hash = 'a'.repeat(64)

test.each<[Step, BuildStep]>([
  [
    { type: 'COPY', args: ['src/', '/app/', '', ''], filesHash: hash },
    { type: 'copy', files: hash, source: 'src/', target: '/app/' },
  ],
  [
    { type: 'COPY', args: ['a', '/b', 'root', '0755'], filesHash: hash, force: true },
    { type: 'copy', files: hash, source: 'a', target: '/b', user: 'root', mode: 0o755, force: true },
  ],
  [
    { type: 'RUN', args: ['make'] },
    { type: 'run', command: 'make' },
  ],
  [
    { type: 'RUN', args: ['make', 'root'], force: false },
    { type: 'run', command: 'make', user: 'root' },
  ],
  [
    { type: 'ENV', args: ['A', '1', 'B', ''] },
    { type: 'env', env: { A: '1', B: '' } },
  ],
  [
    { type: 'WORKDIR', args: ['/app'] },
    { type: 'workdir', path: '/app' },
  ],
  [
    { type: 'USER', args: ['root'] },
    { type: 'user', user: 'root' },
  ],
])('%j is translated', (step, expected) => {
  expect(toStep(step, 0)).toEqual(expected)
  expect(BuildStep.parse(expected)).toEqual(expected)
})

test.each<[Step, string]>([
  [{ type: 'EXPOSE', args: ['80'] }, 'steps[3].type'],
  [{ type: 'constructor', args: [] }, 'steps[3].type'],
  [{ type: 'COPY', args: ['a', '/b'] }, 'steps[3].filesHash'],
  [{ type: 'COPY', args: ['a'], filesHash: hash }, 'steps[3].args'],
  [{ type: 'COPY', args: ['a', '/b', '', 'rwx'], filesHash: hash }, 'steps[3].args[3]'],
  [{ type: 'RUN', args: [] }, 'steps[3].args'],
  [{ type: 'RUN', args: ['', 'root'] }, 'steps[3].args'],
  [{ type: 'ENV', args: ['A'] }, 'steps[3].args'],
  [{ type: 'USER' }, 'steps[3].args'],
])('%j is refused', (step, path) => {
  expect(() => toStep(step, 3)).toThrow(path)
})

test.each([
  ['e2bdev/base', { runtime: 'e2b-base:latest' }],
  ['docker.io/e2bdev/base:latest', { runtime: 'e2b-base:latest' }],
  ['ghcr.io/moru-ai/base', { runtime: 'e2b-base:latest' }],
  ['e2bdev/code-interpreter:latest', { runtime: 'code-interpreter:v1' }],
  ['python:3.13', { runtime: 'python:3.13' }],
  ['docker.io/library/python:3.13', { runtime: 'python:3.13' }],
  ['node', { runtime: 'node:latest' }],
  ['python:3.9', { image: 'python:3.9' }],
  ['ghcr.io/somebody/python:3.13', { image: 'ghcr.io/somebody/python:3.13' }],
  ['e2bdev/base:1.2', { image: 'e2bdev/base:1.2' }],
])('the image %s', async (image, expected) => {
  const here = ['python:3.13', 'node:latest']
  expect(await fromImage(image, async (name) => here.includes(name))).toEqual(expected)
})
