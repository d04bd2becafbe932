import { expect, test } from 'vitest'
import { milliseconds } from './options.ts'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1h30m', 5_400_000],
  ['1d', 86_400_000],
])('%s is %i ms', (text, ms) => expect(milliseconds(text)).toBe(ms))

test.each(['', '5', 's', '1 h', '-1s', '1s!'])('%j is no duration', (text) =>
  expect(() => milliseconds(text)).toThrow('Write a duration'),
)
