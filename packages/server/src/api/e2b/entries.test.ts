import { expect, test } from 'vitest'
import { permissionsOf, toEntry } from './entries.ts'

const FILE = {
  ...({ type: 'file', size: 3, mode: 0o644, uid: 1000, gid: 1001, owner: 'user', group: null } as const),
  ...{ mtimeMs: Date.UTC(2026, 0, 2), link: null },
}

test.each([
  ['file', 0o644, '-rw-r--r--'],
  ['file', 0o4755, 'urwxr-xr-x'],
  ['file', 0o7777, 'ugtrwxrwxrwx'],
  ['directory', 0o1777, 'dtrwxrwxrwx'],
  ['symlink', 0o777, 'Lrwxrwxrwx'],
  ['other', 0, '?---------'],
] as const)('the permissions of a %s with mode %o', (type, mode, text) => {
  expect(permissionsOf({ type, mode })).toBe(text)
})

test('a file', () => {
  const attributes = { 'e2b.who': 'me', other: 'x' }
  expect(toEntry('/d/é', { ...FILE, attributes }, 'e2b')).toEqual({
    ...{ name: 'é', type: 'FILE_TYPE_FILE', path: '/d/é', size: '3', mode: 0o644 },
    ...{ permissions: '-rw-r--r--', owner: 'user', group: '1001' },
    ...{ modifiedTime: '2026-01-02T00:00:00.000Z', metadata: { who: 'me' } },
  })
})

test('a link is what it leads to', () => {
  const link = { ...FILE, type: 'symlink', mode: 0o777, link: '../x' } as const
  const resolved = { path: '/x', type: 'directory', mode: 0o700 } as const
  expect(toEntry('/d/l', { ...link, resolved }, 'moru')).toMatchObject({
    ...{ type: 'FILE_TYPE_DIRECTORY', symlinkTarget: '/x', mode: 0o700, permissions: 'Lrwxrwxrwx' },
  })
  expect(toEntry('/d/l', link, 'e2b')).toMatchObject({ type: 'FILE_TYPE_SYMLINK', symlinkTarget: '../x' })
  expect(toEntry('/d/l', link, 'moru')).toMatchObject({ type: 'FILE_TYPE_UNSPECIFIED' })
})

test.each([Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, Date.UTC(10_000, 0), 1e300])(
  'a time that cannot be said is left out: %d',
  (mtimeMs) => {
    expect(toEntry('/f', { ...FILE, mtimeMs }, 'e2b')).not.toHaveProperty('modifiedTime')
  },
)
