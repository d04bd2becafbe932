import type { Collected } from '@caisson/protocol/resources'

type Removed = Collected['removed'][number]

/** Something that nothing needs any more, and how it goes. */
export interface Garbage extends Removed {
  /** @returns whether it has gone: something may have come to need it since it was found. */
  remove(): Promise<boolean>
}
