import { note } from '../stdio.ts'

/** What a copy was told beside its two sides. */
export interface CopyOptions {
  recursive?: boolean
  strict?: boolean
  user?: string
  quiet?: boolean
  json?: boolean
}

/** What a copy did. */
export interface CopyReport {
  source: string
  /** Where the copy stands now. */
  destination: string
  bytesTransferred: number
  filesTransferred: number
  /** Directories that were made for it: the target's parents and, with a directory, the target. */
  directoriesCreated: string[]
}

/** An option that directories need was not given. */
export const needsRecursive = (path: string): string =>
  `"${path}" is a directory; add -r to copy it with all that is in it.`

/** Says that a copy is not the whole. */
export function tellSkipped(count: number): void {
  if (count > 0) note(`left out ${count} that could not be read, or are neither files, directories nor links`)
}
