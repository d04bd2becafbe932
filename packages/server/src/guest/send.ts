import type { FieldBuilder } from '@caisson/protocol/frame-codec'
import type { FrameType } from '@caisson/protocol/frames'

/** A request that sends, and one answer at its end. */
interface Sending<T, Source> {
  begin(type: FrameType, payload: Uint8Array, signal?: AbortSignal): Promise<T>
  send(source: Source): Promise<void>
  cancel(error: Error): void
}

/** Sends a request and then its source. */
export async function send<T, Source>(
  request: Sending<T, Source>,
  type: FrameType,
  payload: FieldBuilder,
  source: Source,
  signal: AbortSignal | undefined,
): Promise<T> {
  const answer = request.begin(type, payload.encode(), signal)
  // A failure of the request ends the sending as well, and is what the caller gets.
  const sent = request.send(source).catch((error) => request.cancel(error))
  const result = await answer
  await sent
  return result
}
