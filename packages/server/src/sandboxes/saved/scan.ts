import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxRecord } from '../../core/records.ts'
import type { FileStat, GuestFiles } from '../../guest/guest.ts'
import type { Context } from '../context.ts'
import { use } from '../files/access.ts'
import { mayHoldSecrets } from './secret-files.ts'

/** Looked at; a sandbox with more is not known to be safe. */
const MAX_ENTRIES = 2_000_000
/** Named in the refusal. */
const MAX_NAMED = 20
/** Of a file whose name alone does not tell; what tells is near its beginning. */
const HEAD_BYTES = 64 * 1024

/** Variables that programs are given their secrets in. */
const SECRET_VARIABLE = /TOKEN|SECRET|PASSW|CREDENTIAL|(^|_)(KEY|AUTH|PAT)(_|$)/i

/**
 * Looks through all files of a sandbox, and its environment if that is to be published, for what is easily published by
 * mistake: histories, keys, tokens. It is a net for mistakes, not a proof: whoever wants to hide a secret can. A
 * sandbox that is paused is resumed for it.
 * @throws SandboxError `snapshot_unsafe` that names them
 */
export async function assertPublishable(
  context: Context,
  { id, env }: SandboxRecord,
  withEnvironment: boolean,
): Promise<void> {
  const variables = withEnvironment ? Object.keys(env).filter((name) => SECRET_VARIABLE.test(name)) : []
  const files = await use(context, id, riskyFiles)
  const found = [...variables.map((name) => `the variable ${name}`), ...files]
  if (found.length > 0) throw new SandboxError('snapshot_unsafe', { sandbox: id, files: found })
}

/** As container root, who sees every file; other mounts are not entered, for they are not saved. */
async function riskyFiles(files: GuestFiles): Promise<string[]> {
  const found: string[] = []
  const doubtful: [string, RegExp][] = []
  let entries = 0
  const tree = await files.readTree('/', {})
  for await (const entry of tree.entries) {
    if (++entries > MAX_ENTRIES) return [...found, `more than ${MAX_ENTRIES} files, too many to look at`]
    const risk = riskOf(entry)
    if (risk === true) found.push(`/${entry.path}`)
    else if (risk !== false) doubtful.push([`/${entry.path}`, risk])
    if (found.length > MAX_NAMED) return [...found.slice(0, MAX_NAMED), 'others']
  }
  for (const [path, pattern] of doubtful) {
    if (await matches(files, path, pattern)) found.push(path)
    if (found.length > MAX_NAMED) return [...found.slice(0, MAX_NAMED), 'others']
  }
  return found
}

function riskOf({ type, size, path }: FileStat & { path: string }): boolean | RegExp {
  return type === 'file' && size > 0 && mayHoldSecrets(path)
}

/** A file that has gone meanwhile, or cannot be read, is no reason to refuse. */
async function matches(files: GuestFiles, path: string, pattern: RegExp): Promise<boolean> {
  try {
    const { data } = await files.read(path, { length: HEAD_BYTES })
    const pieces: Uint8Array[] = []
    for await (const piece of data) pieces.push(Buffer.from(piece))
    return pattern.test(Buffer.concat(pieces).toString('latin1'))
  } catch (error) {
    if (SandboxError.is(error, 'agent_lost')) throw error
    return false
  }
}
