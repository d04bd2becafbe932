import { expect, test } from 'vitest'
import { lookUp } from './accounts.ts'

const TABLE = [
  'root:x:0:0:root:/root:/bin/bash',
  '1000:x:7:8::/home/number:/bin/sh',
  'user:x:1000:1001:,,,:/home/user:/bin/bash',
  'again:x:1000:1002::/home/again:/bin/sh',
  'relative:x:1003:1003::home:/bin/sh',
  'short:x:1004:1004',
  'odd:x:-1:0x10::/home/odd:/bin/sh',
  'large:x:4294967295:0::/home/large:/bin/sh',
  `long:x:1005:1005::/${'x'.repeat(2000)}:/bin/sh`,
  ':x:1006:1006::/home/none:/bin/sh',
].join('\n')

test.each([
  ['user', { name: 'user', uid: 1000, gid: 1001, home: '/home/user' }],
  ['1000', { name: '1000', uid: 7, gid: 8, home: '/home/number' }],
  ['0', { name: 'root', uid: 0, gid: 0, home: '/root' }],
  ['1000:5', { name: '1000', uid: 7, gid: 5, home: '/home/number' }],
  ['4321', { name: '4321', uid: 4321, gid: 4321, home: '/' }],
  ['relative', { name: 'relative', uid: 1003, gid: 1003, home: '/' }],
  ['long', { name: 'long', uid: 1005, gid: 1005, home: '/' }],
  ['nobody', null],
  ['', null],
  [':', null],
  ['short', null],
  ['odd', null],
  ['large', null],
  ['4294967295', null],
  ['-1', null],
])('%s', (spec, account) => {
  expect(lookUp(TABLE, spec)).toEqual(account)
})

test('there may be no table', () => {
  expect(lookUp('', 'root')).toBeNull()
  expect(lookUp('\0\n::::::\n', 'root')).toBeNull()
})
