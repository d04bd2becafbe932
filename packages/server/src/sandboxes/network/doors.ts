import type { Pin, RouterFacts } from '../../core/network/types.ts'
import type { FindSubject, Subject } from '../../network/subject.ts'

/** The server's own part at the router: names and what is reached by name. */
export interface Doors {
  /** All addresses of a name that the sandbox's rules allow, also such as may not be reached. @throws when nobody answers */
  addressesOf(subject: Subject, name: string, signal?: AbortSignal): Promise<string[]>
  /** The name that an address was told for; null: none that is known. */
  nameOf(subject: Subject, address: string): string | null
  /** What lets names that are still allowed be reached as before, to be set with new rules. */
  pinsOf(subject: Subject): Pin[]
  /** Ends the connections of a sandbox that its rules do not allow any more. */
  cut(id: string): void
  close(): Promise<void>
}

export type OpenDoors = (facts: RouterFacts, find: FindSubject) => Promise<Doors>
