/** Splits bytes into lines of text; one that has no end yet waits for it. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let waiting = ''
  for await (const bytes of body) {
    const lines = (waiting + decoder.decode(bytes, { stream: true })).split('\n')
    waiting = lines.pop() ?? ''
    yield* lines
  }
  if (waiting) yield waiting
}
