import { expect, test } from 'vitest'
import { allowOptions } from './learned.ts'

test('what was learned is ready for a shell', () => {
  expect(allowOptions([])).toBe('')
  expect(allowOptions(['pypi.org', '*.example.com', '192.0.2.1', '2001:db8::/32'])).toBe(
    "--allow pypi.org --allow '*.example.com' --allow 192.0.2.1 --allow 2001:db8::/32",
  )
  expect(allowOptions(["a'b$(c)\n"])).toBe("--allow 'a'\\''b$(c)·'")
})
