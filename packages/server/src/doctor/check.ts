import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { DoctorReport } from '@caisson/protocol/resources'

/** What came out of a check; `degraded`: it works, with the loss that `detail` names. */
export type Finding = Pick<DoctorReport['checks'][number], 'state' | 'detail' | 'fix'>

export const ok = (detail: string): Finding => ({ state: 'ok', detail, fix: null })
export const missing = (detail: string, fix: string): Finding => ({ state: 'missing', detail, fix })
export const degraded = (detail: string, fix: string | null): Finding => ({ state: 'degraded', detail, fix })

/** Longest that one tool may take; none of them waits for anything. */
const TOOL_TIMEOUT_MS = 10_000

/** @returns what the tool printed. @throws Error with what it said when it fails or is not there. */
export async function tool(command: string, args: string[], signal?: AbortSignal): Promise<string> {
  const options = { timeout: TOOL_TIMEOUT_MS, ...(signal && { signal }) }
  const { stdout } = await promisify(execFile)(command, args, options)
  return stdout
}

/** What an error says, in one line. */
export function reason(error: unknown): string {
  const { stderr, code, message } = error as Error & { stderr?: string; code?: unknown }
  if (code === 'ENOENT') return 'not installed'
  const line = (text: string) => text.trim().split('\n').at(-1) ?? ''
  return line(stderr ?? '') || line(message)
}
