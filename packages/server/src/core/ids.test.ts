import { expect, test } from 'vitest'
import { allocateIdBase, ID_RANGE } from './idrange.ts'
import { newId, newSecret, sha256 } from './ids.ts'

test('ids are safe as file names, and all different', () => {
  const ids = Array.from({ length: 10_000 }, () => newId('sbx'))
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids) expect(id).toMatch(/^sbx_[a-z2-7]{20}$/)
})

test('every character of an id is used at every place', () => {
  const ids = Array.from({ length: 2000 }, () => newId('exe').slice(4))
  for (let place = 0; place < 20; place++) expect(new Set(ids.map((id) => id[place])).size).toBe(32)
})

test('secrets are long, and their digest is SHA-256 in hex', () => {
  expect(newSecret()).toMatch(/^csk_[a-z2-7]{52}$/)
  expect(newSecret()).not.toBe(newSecret())
  expect(sha256('ü')).toBe('607474ca475a9724d7360aba71a56d5df77e61350e3f724cfa1f46e857e2d85f')
})

test('uid ranges are disjoint, above the users of the host, and come back when free', () => {
  const inUse = new Set<number>()
  const bases = Array.from({ length: 100 }, () => {
    const base = allocateIdBase(inUse)
    inUse.add(base)
    return base
  })
  expect(bases[0]).toBe(131_072)
  for (const [i, base] of bases.entries()) expect(base).toBe(131_072 + i * ID_RANGE)
  inUse.delete(bases[7]!)
  expect(allocateIdBase(inUse)).toBe(bases[7])
})

test('the last uid range ends below 2³¹, and after it creation is refused', () => {
  const inUse = new Set<number>()
  let last = 0
  for (let base = 131_072; base < 2 ** 31; base += ID_RANGE) {
    inUse.add(base)
    last = base
  }
  expect(last + ID_RANGE).toBe(2 ** 31)
  expect(() => allocateIdBase(inUse)).toThrow(
    expect.objectContaining({ code: 'too_many', details: { what: expect.any(String), limit: 32_766 } }),
  )
})
