import { expect, test } from 'vitest'
import { compareVersions, findKnownBad, KNOWN_BAD_CRUN } from './known-bad.ts'
import { parseCrunVersion, requireGoodCrun } from './probe.ts'

test.each([
  ['0.10.4', 'CVE-2019-18837'],
  ['0.17', 'CVE-2022-27650'],
  ['1.4.3', 'CVE-2022-27650'],
  ['1.4.4', undefined],
  ['1.8.1', undefined],
  ['1.28', undefined],
])('crun %s has %s', (version, cve) => {
  expect(findKnownBad(version)?.cve).toBe(cve)
})

test('versions compare by number, part by part', () => {
  expect(compareVersions('1.10', '1.9')).toBeGreaterThan(0)
  expect(compareVersions('1.8', '1.8.0')).toBe(0)
  expect(compareVersions('1.8', '1.8.1')).toBeLessThan(0)
})

test('every row says why it does or does not matter', () => {
  for (const row of KNOWN_BAD_CRUN) {
    expect(row.cve).toMatch(/^CVE-\d{4}-\d+$/)
    expect(row.why).not.toBe('')
    expect(row.fixedIn !== null || !row.exposed, `${row.cve} would refuse every version`).toBe(true)
  }
})

test('the version is read from the first line that names crun', () => {
  expect(parseCrunVersion('crun version 1.8.1\ncommit: f8a0\nspec: 1.0.0')).toBe('1.8.1')
  expect(parseCrunVersion('crun version 1.21.0.0.0.5-dirty\n')).toBe('1.21.0.0.0.5')
  expect(parseCrunVersion('runc version 1.1.5')).toBeNull()
})

test('a runtime that is missing or something else is refused', async () => {
  await expect(requireGoodCrun('/nonexistent/crun')).rejects.toMatchObject({ code: 'host_not_ready' })
  await expect(requireGoodCrun('/bin/true')).rejects.toThrow('is not crun')
})
