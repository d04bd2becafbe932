import { createHash, randomBytes, randomInt } from 'node:crypto'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
/** 5 random bits a character. */
const ID_CHARACTERS = 20
const SECRET_CHARACTERS = 52
/** As 64 hexadecimal digits. */
const HEX_SECRET_BYTES = 32

export type IdKind =
  | 'sbx'
  | 'exe'
  | 'job'
  | 'prg'
  | 'evt'
  | 'key'
  | 'ssk'
  | 'tmp'
  | 'sav'
  | 'snp'
  | 'ckpt'
  | 'ses'
  | 'dmp'
  | 'vol'
  | 'tpl'
  | 'bld'

/** A new id such as `sbx_k3v…`: 100 random bits, so that it can be neither guessed nor counted. Matches ^[a-z0-9_]{1,64}$. */
export function newId(kind: IdKind): string {
  return `${kind}_${random(ID_CHARACTERS)}`
}

/** Of an execution that is a sandbox's own start program, or asks whether that is ready: nobody asked for it. */
export function isProgramId(execution: string): boolean {
  return execution.startsWith('prg_')
}

/** A new API key, `csk_` and 260 random bits. Only its {@link sha256} is kept. */
export function newSecret(): string {
  return `csk_${random(SECRET_CHARACTERS)}`
}

/** The same in the form that older clients of E2B insist on: `e2b_` and 256 random bits. */
export function newE2bSecret(): string {
  return `e2b_${randomBytes(HEX_SECRET_BYTES).toString('hex')}`
}

/** SHA-256 of a text's UTF-8, in lower-case hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function random(characters: number): string {
  return Array.from({ length: characters }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}
