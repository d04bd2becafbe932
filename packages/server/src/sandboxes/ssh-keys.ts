import { createHash, createPublicKey } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import type { SshKey } from '@caisson/protocol/resources'
import { newId } from '../core/ids.ts'
import { invalid } from '../core/invalid.ts'
import type { SshKeyRecord } from '../core/records.ts'
import type { Context } from './context.ts'
import type { UseCases } from './use-cases.ts'

const TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const

/** Below the least, a key can be broken; above the most, each check of a signature holds up the server. */
const RSA_BITS = { least: 2048, most: 16_384 }
const NAME_LENGTH = 128

type SshKeyUseCases = Pick<UseCases, 'addSshKey' | 'listSshKeys' | 'deleteSshKey' | 'authenticateSsh'>

export function sshKeyUseCases({ store }: Context): SshKeyUseCases {
  return {
    addSshKey: async ({ publicKey, name }) => {
      const { comment, ...parsed } = await parsePublicKey(publicKey)
      const record: SshKeyRecord = {
        id: newId('ssk'),
        name: name ?? (comment || parsed.type),
        ...parsed,
        createdAt: Date.now(),
      }
      try {
        await store.sshKeys.insert(record)
      } catch (error) {
        const known = await store.sshKeys.findByFingerprint(record.fingerprint)
        if (known === null) throw error
        return show(known)
      }
      return show(record)
    },
    listSshKeys: async () => (await store.sshKeys.list()).map(show),
    deleteSshKey: async (key) => {
      if (!(await store.sshKeys.remove(key))) throw new SandboxError('ssh_key_not_found', { key })
    },
    authenticateSsh: async (fingerprint) => (await store.sshKeys.findByFingerprint(fingerprint)) !== null,
  }
}

/** As `ssh-keygen -l` shows it. @param blob the key as it is on the wire */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

type ParsedLine = Pick<SshKeyRecord, 'type' | 'fingerprint' | 'publicKey'> & { comment: string }

/** Reads a line of a .pub file. @throws SandboxError `invalid_request` that says what it is instead of a public key */
export async function parsePublicKey(text: string): Promise<ParsedLine> {
  const line = text.trim()
  const [, type = '', base64 = '', comment = ''] =
    /^(\S+)[ \t]+([A-Za-z0-9+/]+=*)(?:[ \t]+(.*))?$/.exec(line) ?? []
  const known = TYPES.find((candidate) => candidate === type)
  if (known === undefined) throw refused(problemOf(line))
  const blob = Buffer.from(base64, 'base64')
  // Loaded when it is needed, because it takes 17 MiB.
  const { default: ssh2 } = await import('ssh2')
  const key = ssh2.utils.parseKey(`${known} ${base64}`)
  // What is signed for later is found by its bytes, so that there must be one way to write a key.
  if (key instanceof Error || key.type !== known || !key.getPublicSSH().equals(blob))
    throw refused('it is damaged: its parts do not fit together')
  assertStrong(key.getPublicPEM())
  return {
    type: known,
    fingerprint: fingerprintOf(blob),
    publicKey: `${known} ${blob.toString('base64')}`,
    comment: comment.replace(/\p{C}/gu, '').slice(0, NAME_LENGTH),
  }
}

function problemOf(line: string): string {
  if (/PRIVATE KEY|PuTTY-User-Key-File/.test(line))
    return 'this is a PRIVATE key, which must stay with you; send the .pub file, and make a new key if others saw this'
  if (/[\r\n]/.test(line)) return 'it is more than one line; send one key at a time'
  if (line.includes('-cert-v01@openssh.com'))
    return 'certificates are not accepted; send the plain public key'
  if (/^(sk-|webauthn-)/.test(line)) return 'keys of security tokens (sk-…) are not supported'
  if (/^ssh-dss/.test(line)) return 'DSA keys are too weak'
  if (TYPES.some((type) => line.includes(` ${type} `)))
    return 'options before the key are not supported; begin the line with the type of the key'
  return `it must be a line such as "ssh-ed25519 AAAA… you@host", of one of these types: ${TYPES.join(', ')}`
}

function assertStrong(pem: string): void {
  let bits: number | undefined
  try {
    bits = createPublicKey(pem).asymmetricKeyDetails?.modulusLength
  } catch {
    throw refused('it is damaged: its numbers are not those of a key')
  }
  if (bits !== undefined && (bits < RSA_BITS.least || bits > RSA_BITS.most))
    throw refused(`an RSA key has ${RSA_BITS.least} to ${RSA_BITS.most} bits, and this one has ${bits}`)
}

const refused = (problem: string): SandboxError => invalid('publicKey', problem)

function show({ createdAt, ...record }: SshKeyRecord): SshKey {
  return { ...record, createdAt: new Date(createdAt).toISOString() }
}
