import { z } from 'zod'
import { bytes, enumeration, field, integer } from './connect.ts'

/** Messages of the service `process.Process`, as far as they are read. Fields that are not known are left out. */
const size = z.object({
  cols: integer.pipe(z.int().min(1).max(65_535)),
  rows: integer.pipe(z.int().min(1).max(65_535)),
})
const pty = z.object({ size })
const input = z.object({ stdin: field(bytes), pty: field(bytes) })

/** Which process is meant: by its id or by its tag. */
const selector = z.object({ pid: field(integer), tag: field(z.string()) })
export type Selector = z.output<typeof selector>
export type Input = z.output<typeof input>

export const Nothing = z.object({})
export const Selected = z.object({ process: selector })
export const Start = z.object({
  process: z.object({
    cmd: z.string().min(1),
    args: field(z.array(z.string())),
    envs: field(z.record(z.string(), z.string())),
    cwd: field(z.string()),
  }),
  pty: field(pty),
  tag: field(z.string()),
  stdin: field(z.boolean()),
})
export type Start = z.output<typeof Start>
export const Update = z.object({ process: selector, pty: field(pty) })
export const SendInput = z.object({ process: selector, input })
export const StreamInput = z.object({
  start: field(z.object({ process: selector })),
  data: field(z.object({ input })),
})
export const SendSignal = z.object({
  process: selector,
  signal: enumeration({ SIGNAL_SIGKILL: 9, SIGNAL_SIGTERM: 15 }),
})
