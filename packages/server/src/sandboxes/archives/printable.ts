/** Text of an archive for a message: a character for each byte, shortened, without what would play with a terminal. */
export function printable(bytes: string): string {
  const text = /^[\0-\xff]*$/.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes
  const plain = text.replace(/\p{Cc}/gu, '?')
  return plain.length > 300 ? `${plain.slice(0, 300)}…` : plain
}
