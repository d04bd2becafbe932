import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { fingerprintOf } from '../sandboxes/ssh-keys.ts'

/** The format of OpenSSH's PROTOCOL.key, for one key without a passphrase. */
const MAGIC = Buffer.from('openssh-key-v1\0')
const TYPE = 'ssh-ed25519'
const LINE = 70

/** A new host key, as OpenSSH writes it to a file. */
export function makeHostKey(): Buffer {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const [secret, open] = [Buffer.from(d!, 'base64url'), Buffer.from(x!, 'base64url')]
  const blob = Buffer.concat([text(TYPE), text(open)])
  const check = randomBytes(4)
  const hidden = Buffer.concat([check, check, blob, text(Buffer.concat([secret, open])), text('caisson')])
  const padding = Buffer.from(Array.from({ length: (8 - (hidden.length % 8)) % 8 }, (_, i) => i + 1))
  const file = [MAGIC, text('none'), text('none'), text(''), number(1), text(blob)]
  const lines = Buffer.concat([...file, text(Buffer.concat([hidden, padding]))])
    .toString('base64')
    .match(new RegExp(`.{1,${LINE}}`, 'g'))!
  const ends = (word: string) => `-----${word} OPENSSH PRIVATE KEY-----`
  return Buffer.from(`${[ends('BEGIN'), ...lines, ends('END')].join('\n')}\n`)
}

/**
 * What clients are told of a host key.
 * @param file a private key as OpenSSH writes it, without a passphrase
 * @throws Error when it is not one
 */
export function describeHostKey(file: Buffer): { hostKey: string; fingerprint: string } {
  const inside = Buffer.from(file.toString('latin1').replace(/-----[^-]*-----/g, ''), 'base64')
  const before = Buffer.concat([MAGIC, text('none'), text('none'), text(''), number(1)])
  const length = 4 + TYPE.length + 4 + 32
  const blob = inside.subarray(before.length + 4, before.length + 4 + length)
  const expected = Buffer.concat([before, number(length), text(TYPE)])
  if (!inside.subarray(0, expected.length).equals(expected) || blob.length !== length)
    throw new Error(`The SSH host key is no Ed25519 key of OpenSSH's without a passphrase.`)
  return { hostKey: `${TYPE} ${blob.toString('base64')}`, fingerprint: fingerprintOf(blob) }
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A string as SSH writes it: its length, then its bytes. */
function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([number(bytes.length), bytes])
}
