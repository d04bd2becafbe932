import { expect, test } from 'vitest'
import { formatBytes, formatCpu, parseBytes, parseCpu } from './quantity.ts'

test.each([
  ['0', 0],
  ['1048576', 1_048_576],
  ['1Ki', 1024],
  ['512Mi', 512 * 1024 ** 2],
  ['1.5Gi', 1.5 * 1024 ** 3],
  ['2Ti', 2 * 1024 ** 4],
  ['1k', 1000],
  ['1.1G', 1_100_000_000],
  ['3M', 3_000_000],
  ['1T', 1e12],
  ['0.1Ki', 103],
  ['0.000000001', 1],
])('%s is %d bytes', (text, bytes) => {
  expect(parseBytes(text, 'm')).toBe(bytes)
})

test.each([
  ['500m', 500],
  ['2', 2000],
  ['0.5', 500],
  ['1.25', 1250],
  ['0.0001', 1],
  ['1.5m', 2],
])('%s CPUs are %d thousandths', (text, millis) => {
  expect(parseCpu(text, 'c')).toBe(millis)
})

const wrong = [
  '',
  ' 1',
  '1 Gi',
  '-1',
  '+1',
  '1e3',
  '.5',
  '5.',
  '0x10',
  '1KB',
  '1Kib',
  '1gi',
  '1Pi',
  '١',
  'Gi',
  '1_0',
]

test.each([...wrong, '512m', '9999999999999999999Ti', '1toString', '1.1234567890'])(
  '%j is no bytes',
  (text) => {
    expect(() => parseBytes(text, 'resources.memory')).toThrow(/resources\.memory: .* no number of bytes/)
  },
)

test.each([...wrong, '1Gi', '1k', '2 cpus'])('%j is no CPUs', (text) => {
  expect(() => parseCpu(text, 'resources.cpu')).toThrow(/resources\.cpu: .* no number of CPUs/)
})

test('bytes written with "m" are refused with the unit that was meant', () => {
  expect(() => parseBytes('512m', 'm')).toThrow('write "512Mi"')
})

test('formats the shortest exact text, which parses to the same', () => {
  expect([0, 1000, 1024, 1536 * 1024 ** 2, 4 * 1024 ** 3, 1025].map(formatBytes)).toEqual([
    '0',
    '1000',
    '1Ki',
    '1536Mi',
    '4Gi',
    '1025',
  ])
  expect([0, 10, 500, 1000, 2500].map(formatCpu)).toEqual(['0', '10m', '500m', '1', '2500m'])
  for (const value of [1, 1024, 3 * 1024 ** 3, 123_456_789]) {
    expect(parseBytes(formatBytes(value), '')).toBe(value)
    expect(parseCpu(formatCpu(value), '')).toBe(value)
  }
})
