/** Why a text cannot be a pattern, to follow it in a sentence. */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}
