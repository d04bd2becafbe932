import { expect, test } from 'vitest'
import { limitsOfProcess } from './limits.ts'

test('connections are limited by what the process may open, and one sandbox leaves room for others', () => {
  const of = (files: string) =>
    limitsOfProcess(`Limit Soft Hard Units\nMax open files            ${files} files\n`)
  expect(of('1024                 4096')).toEqual({ perSandbox: 64, total: 256 })
  expect(of('1048576              1048576')).toEqual({ perSandbox: 4096, total: 16_384 })
  expect(of('unlimited            unlimited')).toEqual({ perSandbox: 4096, total: 16_384 })
  expect(limitsOfProcess().total).toBeGreaterThan(0)
})
