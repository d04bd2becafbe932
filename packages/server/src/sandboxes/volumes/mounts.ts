import { SandboxError } from '@caisson/protocol/errors'
import { invalid } from '../../core/invalid.ts'
import type { VolumeUse } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { CreateInput } from '../create-live.ts'
import { volumesOf } from './able.ts'
import { holdVolume, inVolumeTurn } from './turns.ts'

type Asked = NonNullable<CreateInput['volumes']>

/** What every sandbox has there is the kernel's and the agent's. */
const RESERVED = ['/proc', '/sys', '/dev', '/.caisson']
/** What the launcher takes, in bytes. */
const MAX_PATH = 1024
const MAX_NAME = 255

/**
 * The volumes that a sandbox is asked for with.
 * @param holds keeps them from being deleted, until the sandbox's record names them
 * @throws SandboxError `volume_not_found`, `invalid_request` for paths that cannot be, `not_supported`
 */
export async function resolveVolumes(
  context: Context,
  asked: Asked,
  holds: DisposableStack,
): Promise<VolumeUse[]> {
  if (asked.length === 0) return []
  volumesOf(context)
  assertPaths(asked.map(({ path }) => path))
  const uses: VolumeUse[] = []
  for (const { volume, path, readOnly = false } of asked) {
    const { id, name } = await take(context, volume, holds)
    uses.push({ volume: id, name, path, readOnly })
  }
  return uses
}

/** For a record that takes over the volumes of another. @throws SandboxError `volume_not_found` */
export async function holdVolumes(
  context: Context,
  uses: readonly VolumeUse[],
  holds: DisposableStack,
): Promise<void> {
  for (const { volume } of uses) await take(context, volume, holds)
}

async function take(
  context: Context,
  idOrName: string,
  holds: DisposableStack,
): Promise<{ id: string; name: string }> {
  const { volumes } = context.store
  const missing = () => new SandboxError('volume_not_found', { volume: idOrName })
  const found = await volumes.find(idOrName)
  if (found === null) throw missing()
  return inVolumeTurn(context, found.id, async () => {
    if ((await volumes.find(found.id)) === null) throw missing()
    holds.use(holdVolume(context, found.id))
    return found
  })
}

function assertPaths(paths: string[]): void {
  const before: string[] = []
  for (const [index, path] of paths.entries()) {
    const at = `volumes.${index}.path`
    const names = path.split('/').slice(1)
    if (!path.startsWith('/') || path.includes('\0') || names.some((name) => ['', '.', '..'].includes(name)))
      throw invalid(
        at,
        `${JSON.stringify(path)} is no absolute path without "." and ".." and a slash at its end`,
      )
    const tooLong = names.some((name) => Buffer.byteLength(name) > MAX_NAME)
    if (tooLong || Buffer.byteLength(path) > MAX_PATH)
      throw invalid(at, `must be at most ${MAX_PATH} bytes long, and each name in it ${MAX_NAME}`)
    const reserved = RESERVED.find((one) => contains(one, path))
    if (reserved !== undefined)
      throw invalid(at, `${JSON.stringify(path)} is the system's own; nothing can be mounted at or below it`)
    const other = before.find((one) => contains(one, path) || contains(path, one))
    if (other !== undefined)
      throw invalid(at, `${JSON.stringify(path)} and ${JSON.stringify(other)} would hide one another`)
    before.push(path)
  }
}

function contains(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
