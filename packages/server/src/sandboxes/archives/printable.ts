const MAX = 300

/** Text of an archive, which has a character for each byte, for a message. */
export function printable(bytes: string): string {
  return plain(Buffer.from(bytes.slice(0, MAX), 'latin1').toString('utf8'))
}

/** Text for a message: shortened, without what would play with a terminal. */
export function plain(text: string): string {
  const shown = text.replace(/\p{Cc}/gu, '?')
  return shown.length > MAX ? `${shown.slice(0, MAX)}…` : shown
}
