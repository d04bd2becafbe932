import { SandboxError } from '@caisson/protocol/errors'
import { Refused } from './errors.ts'

/** Errors as these clients know them. */
export async function naming<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (SandboxError.is(error, 'file_not_found'))
      throw new Refused(404, `path '${path}' does not exist`, {}, { cause: error })
    if (SandboxError.is(error, 'file_wrong_type'))
      throw new Refused(400, `path '${path}' is ${kindIn(error.details.reason)}`, {}, { cause: error })
    throw error
  }
}

/** The kind of file that the agent names, if it does. */
function kindIn(reason: string): string {
  return /it is (an? [a-z ]{1,20})/.exec(reason)?.[1] ?? 'not a file'
}
