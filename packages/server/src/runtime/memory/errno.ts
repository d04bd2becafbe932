import { constants } from 'node:os'

/** A request that fails with a number of Linux. */
export class Errno extends Error {
  override readonly name = 'Errno'
  readonly errno: number

  /** @param message what was being done. */
  constructor(code: keyof typeof constants.errno, message: string) {
    super(message)
    this.errno = constants.errno[code]
  }
}
