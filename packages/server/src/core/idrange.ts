import { SandboxError } from '@caisson/protocol/errors'

/** Host uids of one sandbox: container uid 0–65535 is host uid `idBase`–`idBase`+65535. */
export const ID_RANGE = 65_536

/** Below are the host's own users and the first range of most `/etc/subuid` files. */
const FIRST = 0x2_0000
/** Some programs keep uids in signed 32 bits. */
const END = 2 ** 31

/**
 * The lowest free first uid. The caller keeps a range in `inUse` until every process of its sandbox is gone.
 * @throws SandboxError `too_many` when every range is taken
 */
export function allocateIdBase(inUse: ReadonlySet<number>): number {
  for (let base = FIRST; base < END; base += ID_RANGE) if (!inUse.has(base)) return base
  throw new SandboxError('too_many', { what: 'sandboxes with a uid range', limit: (END - FIRST) / ID_RANGE })
}
