/** Other clients make host names of a sandbox's id and split them at the hyphen, so that for them it has letters and digits only. */
const OURS = /^sbx_([a-z2-7]{20})$/
const THEIRS = /^i([a-z2-7]{20})$/
/** As host names and headers have it, which know neither upper case nor "_". */
const IN_HOSTS = /^(?:sbx[-_]|i)([a-z2-7]{20})$/

/** `sbx_abc…` as `iabc…`. */
export function toSandboxId(id: string): string {
  const [, random] = OURS.exec(id) ?? []
  if (random === undefined) throw new TypeError(`${id} is no id of a sandbox`)
  return `i${random}`
}

/** The reverse; null for what cannot be an id, so that no name of a sandbox is taken for one. Our own form is taken, too. */
export function fromSandboxId(text: string): string | null {
  const [, random] = THEIRS.exec(text) ?? OURS.exec(text) ?? []
  return random === undefined ? null : `sbx_${random}`
}

/** Our id of what a host name, a header or a path names: `sbx_abc…`, `sbx-abc…` or `iabc…`; null for what is none. */
export function readSandboxId(text: string): string | null {
  const [, random] = IN_HOSTS.exec(text.toLowerCase()) ?? []
  return random === undefined ? null : `sbx_${random}`
}
