import { createHmac } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import { expect, test } from 'vitest'
import { type Claims, signLink, verifyLink } from './signed-links.ts'

const KEY = Buffer.alloc(32, 1)
const CLAIMS: Claims = { sandbox: 'sbx_a', operation: 'read', path: 'ü', user: null, expiresAt: 1000 }

function refused(key: Buffer, token: string, operation: Claims['operation'] = 'read', now = 0): boolean {
  try {
    verifyLink(key, token, operation, now)
    return false
  } catch (error) {
    if (SandboxError.is(error, 'signature_invalid')) return true
    throw error
  }
}

test('a token gives its claims back until it expires', () => {
  const token = signLink(KEY, CLAIMS)
  expect(token).toMatch(/^[\w-]+\.[\w-]{43}$/)
  expect(verifyLink(KEY, token, 'read', 999)).toEqual(CLAIMS)
  expect(refused(KEY, token, 'read', 1000)).toBe(true)
  expect(refused(KEY, token, 'write')).toBe(true)
  expect(refused(Buffer.alloc(32, 2), token)).toBe(true)
})

test('what is signed with the key for something else is no link', () => {
  const text = signLink(KEY, CLAIMS).split('.')[0] as string
  const mac = createHmac('sha256', KEY).update(text).digest('base64url')
  expect(refused(KEY, `${text}.${mac}`)).toBe(true)
})

test('nothing that is no token does harm', () => {
  const genuine = signLink(KEY, CLAIMS)
  const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const token of [
    '',
    '.',
    '..',
    'x',
    `${genuine}.`,
    ` ${genuine}`,
    `${genuine}=`,
    json(null),
    `${json([])}.x`,
    `${json({ expiresAt: 'z' })}.y`,
  ])
    expect(refused(KEY, token)).toBe(true)
})
