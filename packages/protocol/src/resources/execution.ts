import { z } from 'zod'
import { duration, envMap, filePath, noNul, userName } from './common.ts'

export const ENDINGS = [
  'exited',
  'signalled',
  'out-of-memory',
  'execution-timeout',
  'idle-timeout',
  'sandbox-ended',
  'agent-lost',
  'host-lost',
  'cancelled',
] as const
export const ExecutionEnding = z.enum(ENDINGS).meta({
  id: 'ExecutionEnding',
  description:
    'How an execution ended, told by evidence. Only "exited" has an exit code, and every "exited" has one.',
})
export type ExecutionEnding = z.infer<typeof ExecutionEnding>

export const Execution = z
  .object({
    id: z.string(),
    sandboxId: z.string(),
    kind: z.enum(['command', 'job']),
    tag: z.string().nullable().meta({ description: 'A name that its starter chose; need not be unique.' }),
    state: z.enum(['pending', 'running', 'ended']),
    pid: z.int().nullable().meta({ description: 'Of the leader, as the sandbox sees it.' }),
    argv: z.array(z.string()),
    cwd: z.string().nullable(),
    user: z.string().nullable(),
    tty: z.boolean(),
    stdin: z
      .boolean()
      .optional()
      .meta({ description: 'Whether its stdin takes bytes: it was opened, and nobody has closed it.' }),
    terminal: z
      .object({ cols: z.int(), rows: z.int() })
      .nullable()
      .meta({ description: 'The size that was asked for last, by whichever viewer.' }),
    ending: ExecutionEnding.nullable(),
    exitCode: z.int().nullable(),
    signal: z
      .string()
      .nullable()
      .meta({ description: 'The signal that ended the program, such as "SIGKILL".' }),
    message: z.string().nullable().meta({ description: 'The evidence for the ending, in a sentence.' }),
    oomKills: z
      .int()
      .meta({ description: 'Processes of the sandbox that the kernel killed for memory while this ran.' }),
    autoResumed: z.boolean().meta({ description: 'The sandbox was paused, and was resumed for this.' }),
    outputBytes: z.int(),
    outputStart: z.int().meta({ description: 'Offset of the first byte that is kept.' }),
    outputTruncated: z.boolean().meta({ description: 'Some of the output is not kept.' }),
    timeoutMs: z.int().nullable(),
    durationMs: z.number().nullable(),
    cpuUsec: z.int().nullable(),
    maxRssBytes: z.int().nullable(),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Execution' })
export type Execution = z.infer<typeof Execution>

export const StartExecution = z
  .strictObject({
    argv: z.array(noNul(131_072)).min(1).max(4096),
    cwd: filePath.optional(),
    env: envMap.optional(),
    user: userName
      .optional()
      .meta({ description: 'Name or uid, "user:group" allowed. Default: the runtime’s user, "agent".' }),
    input: z.string().optional().meta({ description: 'Sent to stdin, which is then closed.' }),
    inputEncoding: z.enum(['utf8', 'base64']).optional(),
    stdin: z
      .boolean()
      .optional()
      .meta({ description: 'Keep stdin open for later writes. Default: stdin is empty.' }),
    tty: z.strictObject({ cols: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) }).optional(),
    timeout: duration
      .optional()
      .meta({ description: 'Terminated after so long (SIGTERM, then SIGKILL). Default: none.' }),
    outputLimit: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'Bytes of output kept; what goes is told by outputTruncated.' }),
    outputKeep: z
      .enum(['head', 'tail'])
      .optional()
      .meta({ description: 'Which end is kept at the limit. Default: head; for jobs and terminals, tail.' }),
    tag: z.string().min(1).max(256).optional(),
  })
  .meta({ id: 'StartExecution' })
export type StartExecution = z.input<typeof StartExecution>

export const JobStatus = z.enum(['pending', 'running', 'completed', 'failed', 'cancelled']).meta({
  id: 'JobStatus',
  description:
    'completed: exit code 0; cancelled: it was stopped; failed: any other ending, told by `ending`.',
})
export type JobStatus = z.infer<typeof JobStatus>

export const Job = Execution.extend({ status: JobStatus }).meta({
  id: 'Job',
  description: 'An execution in the background, without a time limit unless one is given.',
})
export type Job = z.infer<typeof Job>
