import { setImmediate } from 'node:timers/promises'
import type { Context } from './context.ts'
import { LineCutter } from './log-lines.ts'
import { tailOffset } from './log-tail.ts'
import { compileGrep, LogText } from './log-text.ts'
import { findExecution } from './lookup.ts'
import { readOutput } from './output.ts'
import type { OutputChunk, UseCases } from './use-cases.ts'

/** Searching is work for the processor: after so many milliseconds of it others have their turn. */
const TURN_MS = 10

type Query = Parameters<UseCases['readLogs']>[1]

/** Output as text. `tail` counts lines of the streams that are asked for; `grep` looks at those alone. */
export async function readLogs(
  context: Context,
  id: string,
  query: Query,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  await findExecution(context, id)
  const matches = query.grep === undefined ? null : await compileGrep(query.grep)
  const from = Math.max(query.offset, await tailOf(context, id, query, signal))
  const { chunks } = await readOutput(context, id, { offset: from }, query.follow, signal)
  const wanted = only(chunks, query)
  if (matches === null && !query.timestamps) return copies(wanted)
  return lines(wanted, new LogText({ matches, timestamps: query.timestamps }))
}

async function tailOf(context: Context, id: string, query: Query, signal?: AbortSignal): Promise<number> {
  if (query.tail === undefined) return 0
  const source = {
    ...context.outputs.bounds(id),
    read: (offset: number) => context.outputs.read(id, offset, signal),
    wants: (stream: OutputChunk['stream']) => isWanted(stream, query),
  }
  return tailOffset(source, query.tail)
}

function isWanted(stream: OutputChunk['stream'], query: Query): boolean {
  return query.stream === 'all' || query.stream === stream
}

async function* only(chunks: AsyncIterable<OutputChunk>, query: Query): AsyncGenerator<OutputChunk> {
  for await (const chunk of chunks) if (isWanted(chunk.stream, query)) yield chunk
}

/** Who sends a chunk may still hold it when the reader uses its memory again. */
async function* copies(chunks: AsyncIterable<OutputChunk>): AsyncGenerator<Uint8Array> {
  for await (const { data } of chunks) yield Buffer.from(data)
}

async function* lines(chunks: AsyncIterable<OutputChunk>, text: LogText): AsyncGenerator<Uint8Array> {
  const cutter = new LineCutter()
  let began = performance.now()
  for await (const chunk of chunks) {
    const bytes = text.write(cutter.push(chunk))
    if (bytes.length > 0) yield bytes
    if (performance.now() - began > TURN_MS) {
      await setImmediate()
      began = performance.now()
    }
  }
  const rest = text.write(cutter.end())
  if (rest.length > 0) yield rest
}
