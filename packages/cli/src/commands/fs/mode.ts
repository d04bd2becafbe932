import type { FileInfo } from 'caisson'
import { InvalidArgumentError } from 'commander'

const LETTERS = { file: '-', directory: 'd', symlink: 'l', other: '?' } as const

export const kindLetter = (type: FileInfo['type']): string => LETTERS[type]

/** Permission bits as letters, such as "rwxr-xr-x". */
export function permissions(mode: number): string {
  const letters = [6, 3, 0].map((shift) => {
    const bits = mode >> shift
    return (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + (bits & 1 ? 'x' : '-')
  })
  const special = [
    [0o4000, 's'],
    [0o2000, 's'],
    [0o1000, 't'],
  ] as const
  return letters
    .map((three, i) => {
      const [bit, letter] = special[i]!
      if (!(mode & bit)) return three
      return three.slice(0, 2) + (three.endsWith('x') ? letter : letter.toUpperCase())
    })
    .join('')
}

export const octal = (mode: number): string => mode.toString(8).padStart(4, '0')

/** Reads permission bits as chmod takes them, in octal. */
export function parseMode(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text))
    throw new InvalidArgumentError('Write permission bits in octal, such as 755.')
  return Number.parseInt(text, 8)
}
