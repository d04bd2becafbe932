import { FrameError, fields, parseFields } from '@caisson/protocol/frame-codec'
import { Field, LIMITS } from '@caisson/protocol/frames'
import { expect, test } from 'vitest'
import { readAttributes, withAttributes } from './attributes.ts'

const told = () => fields().u64(Field.SKIPPED, 0)
const read = (payload: ReturnType<typeof fields>) => readAttributes(parseFields(payload.encode()))

test('are read under the names that they have, whatever these are', () => {
  const answer = told()
    .string(Field.XATTR, 'user.a\0one')
    .string(Field.XATTR, 'user.__proto__\0two')
    .bytes(Field.XATTR, Buffer.from('user.b\0\xff\0', 'latin1'))
  const { attributes } = read(answer)
  expect(Object.entries(attributes ?? {})).toEqual([
    ['a', 'one'],
    ['__proto__', 'two'],
    ['b', '\ufffd\0'],
  ])
  expect(Object.getPrototypeOf(attributes)).toBe(Object.prototype)
})

test('are absent where they were not told', () => {
  expect(read(fields().string(Field.XATTR, 'user.a\0one'))).toEqual({})
  expect(read(told())).toEqual({ attributes: {} })
  expect(read(fields().u64(Field.SKIPPED, 2))).toEqual({ attributes: {}, attributesSkipped: 2 })
})

test.each([
  ['no end of the name', 'user.a'],
  ['no name', 'user.\0x'],
  ['nothing', ''],
  ['another name space', 'trusted.a\0x'],
  ['a long name', `user.${'x'.repeat(300)}\0x`],
  ['too much', `user.a\0${'x'.repeat(LIMITS.MAX_XATTRS)}`],
])('with %s break the protocol', (_what, field) => {
  expect(() => read(told().string(Field.XATTR, field))).toThrow(FrameError)
})

test('more than a file may have break the protocol', () => {
  const answer = told()
  for (let i = 0; i < 60; i++) answer.string(Field.XATTR, `user.${i}\0${'x'.repeat(1000)}`)
  expect(() => read(answer)).toThrow(FrameError)
})

test('are sent to be set and removed', () => {
  const sent = parseFields(withAttributes(fields(), { a: 'é', b: null, c: '' }).encode())
  expect(sent.strings(Field.XATTR)).toEqual(['user.a\0é', 'user.c\0'])
  expect(sent.strings(Field.REMOVED)).toEqual(['user.b'])
})

test.each([
  ['', 'x'],
  ['a\0b', 'x'],
  ['x'.repeat(251), 'x'],
  ['a', 'x'.repeat(LIMITS.MAX_XATTRS)],
])('that no file can have are not sent', (name, value) => {
  expect(() => withAttributes(fields(), { [name]: value })).toThrow(
    expect.objectContaining({ code: 'invalid_request' }),
  )
})
