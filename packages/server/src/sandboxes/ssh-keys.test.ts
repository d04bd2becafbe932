import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parsePublicKey } from './ssh-keys.ts'

const LINE = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFdgAQLm/vVnLS/ytxvz6+G/l/YPbYGYC32EdUrlJm1Y'

describe('public keys', () => {
  test('are told apart from their comment', async () => {
    expect(await parsePublicKey(`  ${LINE}   me@host and more\u0007 \n`)).toEqual({
      type: 'ssh-ed25519',
      fingerprint: 'SHA256:6zTwsjaEAVZGW/EVRBP8eaDlQQFZkfUe52OR6+cCPFI',
      publicKey: LINE,
      comment: 'me@host and more',
    })
  })

  test.for([
    ['', 'it must be a line such as'],
    ['hello world', 'it must be a line such as'],
    [`${LINE}\n${LINE}`, 'one key at a time'],
    [`no-pty ${LINE}`, 'options before the key'],
    [LINE.replace('ssh-ed25519 ', 'ssh-ed25519-cert-v01@openssh.com '), 'certificates'],
    [LINE.replace('ssh-ed25519 ', 'sk-ssh-ed25519@openssh.com '), 'security tokens'],
    [LINE.replace('ssh-ed25519 ', 'ssh-rsa '), 'damaged'],
    [LINE.slice(0, -8), 'damaged'],
    [`${LINE}AAAA`, 'damaged'],
    ['ssh-dss AAAAB3NzaC1kc3M=', 'DSA'],
    ['ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAEBAECAw==', 'damaged'],
  ] as const)('%j is refused', async ([text, message]) => {
    await expect(parsePublicKey(text)).rejects.toThrow(message)
  })

  test('a private key is refused in every format', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    for (const text of [pem, '-----BEGIN OPENSSH PRIVATE KEY-----\nx', 'PuTTY-User-Key-File-3: ssh-ed25519'])
      await expect(parsePublicKey(text)).rejects.toThrow('PRIVATE key')
  })
})
