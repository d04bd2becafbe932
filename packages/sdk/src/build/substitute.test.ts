// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested.
import { expect, test } from 'vitest'
import { substitute } from './substitute.ts'

const values = { A: '1', B_2: 'two', EMPTY: '', TRICK: '${A} $& $1 $${' }

test.each([
  ['plain', 'plain'],
  ['${A}', '1'],
  ['x${A}y${B_2}z', 'x1ytwoz'],
  ['[${EMPTY}]', '[]'],
  ['$A', '$A'],
  ['$ {A}', '$ {A}'],
  ['$${A}', '${A}'],
  ['$$${A}', '$${A}'],
  ['$$', '$$'],
  ['${TRICK}', '${A} $& $1 $${'],
])('%s becomes %s', (text, expected) => expect(substitute(text, values)).toBe(expected))

test.each([
  ['${HOME}', /needs HOME, which was not given/],
  ['${toString}', /needs toString/],
  ['${}', /no variable/],
  ['${a b}', /no variable/],
  ['${A:-default}', /no variable/],
  ['${A', /without "}"/],
])('%s is refused', (text, message) => expect(() => substitute(text, values)).toThrow(message))

test('tells which were used', () => {
  const used: string[] = []
  substitute('${A} $${B_2} ${A}', values, (name) => used.push(name))
  expect(used).toEqual(['A', 'A'])
})
