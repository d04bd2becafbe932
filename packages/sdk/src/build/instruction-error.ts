/** What is wrong with an instruction, as the rest of a sentence about it. */
export class InstructionError extends Error {
  override readonly name = 'InstructionError'
}
