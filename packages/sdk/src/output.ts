import type { Execution as ExecutionInfo } from '@caisson/protocol/resources'
import { Collector } from './collect.ts'
import type { Followed, OutputChunk } from './follow.ts'

/** Where output goes while it comes. A callback that returns a promise slows the program until it settles. */
export interface OutputOptions {
  /** Text of stdout; characters that are split between pieces are joined. */
  onStdout?: ((text: string) => void | Promise<void>) | undefined
  onStderr?: ((text: string) => void | Promise<void>) | undefined
  /** Every piece of both streams, as bytes, in the order in which they came. */
  onOutput?: ((chunk: OutputChunk) => void | Promise<void>) | undefined
  /**
   * Bytes of output that the result keeps in memory; default 64 MiB. What comes later still reaches the callbacks,
   * stays readable on the server, and is told by `outputTruncated`; the command is not ended.
   */
  maxBuffer?: number | undefined
}

const MAX_BUFFER = 64 * 1_048_576

/** Reads a followed execution to its end. */
export async function collect(
  followed: AsyncIterable<Followed[]>,
  options: OutputOptions,
  onStarted?: (execution: ExecutionInfo) => void,
): Promise<{ execution: ExecutionInfo; output: Collector }> {
  const output = new Collector(options.maxBuffer ?? MAX_BUFFER)
  const stdout = textSink(options.onStdout)
  const stderr = textSink(options.onStderr)
  let execution: ExecutionInfo | undefined
  for await (const batch of followed) {
    for (const item of batch) {
      if (item.type === 'output') {
        output.add(item.chunk)
        // Awaited only where there is something to wait for: a wait costs as much as the rest together.
        if (options.onOutput) await options.onOutput(item.chunk)
        const sink = item.chunk.stream === 'stdout' ? stdout : stderr
        if (sink) await sink(item.chunk.data)
      } else if (item.type === 'gap') output.gap()
      else {
        execution = item.execution
        if (item.type === 'started') onStarted?.(item.execution)
      }
    }
  }
  await stdout?.()
  await stderr?.()
  return { execution: execution!, output }
}

/** Decodes pieces of one stream; called without bytes at the end. */
function textSink(write: OutputOptions['onStdout']): ((data?: Uint8Array) => Promise<void>) | undefined {
  if (!write) return undefined
  const decoder = new TextDecoder()
  return async (data) => {
    const text = data ? decoder.decode(data, { stream: true }) : decoder.decode()
    if (text) await write(text)
  }
}
