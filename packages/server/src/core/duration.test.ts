import { expect, test } from 'vitest'
import { MAX_DURATION_MS, parseDuration } from './duration.ts'

test.each([
  [0, 0],
  [1500, 1500],
  ['0', 0],
  ['0s', 0],
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1m500ms', 60_500],
  ['7d', 604_800_000],
  ['1d2h3m4s5ms', 93_784_005],
  ['90m', 5_400_000],
  ['365d', MAX_DURATION_MS],
])('%j is %d ms', (value, ms) => {
  expect(parseDuration(value, 't')).toBe(ms)
})

test.each([
  '',
  ' 5m',
  '5 m',
  '-5m',
  '1.5h',
  '5M',
  '5min',
  '30m1h',
  '1h1h',
  'm',
  '1h30',
  '1ms1s',
  '٥m',
  '1e3s',
  '5m\n',
])('%j is no duration', (value) => {
  expect(() => parseDuration(value, 'ttl')).toThrow(/ttl: .* no duration/)
})

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('the number %d is no duration', (value) => {
  expect(() => parseDuration(value, 'ttl')).toThrow(/ttl/)
})

test('a bare number in text is refused with a hint', () => {
  expect(() => parseDuration('30', 'timeout')).toThrow('say the unit, as in "30s"')
})

test.each([MAX_DURATION_MS + 1, '366d', '999999999999d'])('%j is too long', (value) => {
  expect(() => parseDuration(value, 'ttl')).toThrow('longer than 365 days')
})
