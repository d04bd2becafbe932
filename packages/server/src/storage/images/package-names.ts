/** A package as a request or a recipe names it. */
export interface NamedPackage {
  name: string
  /** A version or a tag; of Debian also `name/suite`; null: what is usual. */
  version: string | null
}

const NPM =
  /^((?:@[a-z0-9~][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*)(?:@([A-Za-z0-9^~<>=][A-Za-z0-9.+^~<>=*-]*))?$/
const DEBIAN = /^([a-z0-9][a-z0-9+.-]+)((?:=[A-Za-z0-9.+:~-]+)?(?:\/[a-z][a-z-]*)?)$/

/** npm takes these for files. */
const ARCHIVE = /\.(tgz|tar|tar\.gz)$/i

/** Longest name with its version: npm's own limit for names is 214. */
const MAX_LENGTH = 256

/** @returns null when the text is no `name`, `@scope/name` or `name@version`: no address, path or option gets through. */
export function npmPackage(text: string): NamedPackage | null {
  const found = text.length <= MAX_LENGTH && !ARCHIVE.test(text) ? NPM.exec(text) : null
  return found && { name: found[1]!, version: found[2] ?? null }
}

/** @returns null when the text is no `name`, `name=version` or `name/suite` of a Debian package. */
export function debianPackage(text: string): NamedPackage | null {
  const found = text.length <= MAX_LENGTH ? DEBIAN.exec(text) : null
  return found && { name: found[1]!, version: found[2] || null }
}
