import { createHash, randomInt } from 'node:crypto'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
/** 5 random bits a character. */
const ID_CHARACTERS = 20
const SECRET_CHARACTERS = 52

export type IdKind =
  | 'sbx'
  | 'exe'
  | 'job'
  | 'evt'
  | 'key'
  | 'ssk'
  | 'tmp'
  | 'sav'
  | 'snp'
  | 'ckpt'
  | 'ses'
  | 'dmp'

/** A new id such as `sbx_k3v…`: 100 random bits, so that it can be neither guessed nor counted. Matches ^[a-z0-9_]{1,64}$. */
export function newId(kind: IdKind): string {
  return `${kind}_${random(ID_CHARACTERS)}`
}

/** A new API key, `csk_` and 260 random bits. Only its {@link sha256} is kept. */
export function newSecret(): string {
  return `csk_${random(SECRET_CHARACTERS)}`
}

/** SHA-256 of a text's UTF-8, in lower-case hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function random(characters: number): string {
  return Array.from({ length: characters }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}
