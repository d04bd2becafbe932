import { expect, test } from 'vitest'
import { shown } from './table.ts'

test('what a person sees has its control characters written out', () => {
  expect(shown('a\nb\u001b[31m\u0007\u009bx\u202ey', true)).toBe('a\\nb\\x1b[31m\\x07\\x9bx\\u202ey')
  expect(shown('ünï code', true)).toBe('ünï code')
})

test('what a program reads is as it is', () => {
  expect(shown('a\nb\u001b[31m', false)).toBe('a\nb\u001b[31m')
})
