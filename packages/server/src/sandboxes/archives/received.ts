import { SandboxError } from '@caisson/protocol/errors'

/** An upload. Whose fault it is: a client that breaks off has not sent a damaged archive. */
export async function* received(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* data
  } catch (cause) {
    throw new SandboxError('aborted', { what: 'The upload' }, { cause })
  }
}
