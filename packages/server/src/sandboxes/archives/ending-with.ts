/**
 * The same bytes, with what has to be done when they have ended, failed or were left: also when nobody asked for the
 * first piece, and when the signal aborts. It is done once; the end waits for it.
 */
export function endingWith(
  data: AsyncIterable<Uint8Array>,
  end: () => Promise<void>,
  signal?: AbortSignal,
): AsyncIterableIterator<Uint8Array> {
  const pieces = data[Symbol.asyncIterator]()
  let ended: Promise<void> | null = null
  const once = () => {
    ended ??= end()
    signal?.removeEventListener('abort', once)
    return ended
  }
  if (signal?.aborted) void once()
  else signal?.addEventListener('abort', once)
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    next: async () => {
      try {
        const result = await pieces.next()
        if (result.done) await once()
        return result
      } catch (error) {
        await once()
        throw error
      }
    },
    return: async () => {
      await once()
      await pieces.return?.()
      return { done: true, value: undefined }
    },
  }
}
