import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { test } from '../fixture.ts'

const root = resolve(import.meta.dirname, '../..')
const source = join(root, 'packages/sdk/src')

/** The examples in the SDK's doc comments, by the file and line where they stand. */
function examples(): [string, string][] {
  const files = readdirSync(source).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  return files.flatMap((name) => {
    const text = readFileSync(join(source, name), 'utf8')
    return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match): [string, string] => [
      `${name}:${text.slice(0, match.index).split('\n').length}`,
      match[1]!.replace(/^ *\* ?/gm, ''),
    ])
  })
}

test('there are examples in the documentation', () => {
  expect(examples().length).toBeGreaterThan(8)
})

test.for(examples())('the example at %s runs', async ([, program], { server }) => {
  const args = ['--input-type=module', '-e', program]
  const { stderr } = await promisify(execFile)(join(root, 'node_modules/.bin/node'), args, {
    cwd: root,
    env: server.env,
  })
  expect(stderr).toBe('')
})
