import ssh2, { type AuthContext, type PublicKeyAuthContext } from 'ssh2'
import { fingerprintOf } from '../sandboxes/ssh-keys.ts'

/** Failures after which a client has to connect anew; one that offers many keys needs a few. */
const MAX_FAILURES = 10

export interface Authenticating {
  /** Whether a key was added, by its fingerprint. */
  knows(fingerprint: string): Promise<boolean>
  /** The client holds the key; `user` is the sandbox that it wants. */
  accepted(user: string, fingerprint: string): void
  /** It can not be told who the client is, and so it is not let in. */
  failed(error: unknown): void
  tooMany(): void
}

/**
 * Lets in whoever holds the private half of a key that was added. The user name is not looked at: whether there is
 * such a sandbox is told to those who are in.
 */
export function createAuthenticator(options: Authenticating): (context: AuthContext) => void {
  let failures = 0
  const reject = (context: AuthContext) => {
    // Clients begin with "none" to learn what there is.
    if (context.method !== 'none' && ++failures > MAX_FAILURES) return options.tooMany()
    context.reject(['publickey'])
  }
  return (context) => {
    if (context.method !== 'publickey') return reject(context)
    isAllowed(context, options.knows).then(
      (allowed) => {
        if (!allowed) return reject(context)
        if (context.signature !== undefined)
          options.accepted(context.username, fingerprintOf(context.key.data))
        context.accept()
      },
      (error) => {
        options.failed(error)
        reject(context)
      },
    )
  }
}

/** Without a signature the client only asks whether the key would do. */
async function isAllowed(
  { key, signature, blob, hashAlgo }: PublicKeyAuthContext,
  knows: Authenticating['knows'],
): Promise<boolean> {
  // Signed with SHA-1.
  if (key.algo === 'ssh-rsa' && hashAlgo === undefined) return false
  if (!(await knows(fingerprintOf(key.data)))) return false
  if (signature === undefined) return true
  const parsed = ssh2.utils.parseKey(key.data)
  if (parsed instanceof Error || blob === undefined) return false
  return parsed.verify(blob, signature, hashAlgo) === true
}
