import { z } from 'zod'

export const Event = z
  .object({
    id: z.string(),
    sandboxId: z.string(),
    type: z.string().meta({ description: 'Such as "create", "lifecycle:started", "env", "destroy".' }),
    payload: z.record(z.string(), z.unknown()),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Event' })
export type Event = z.infer<typeof Event>

export const Usage = z
  .object({
    memoryBytes: z.int(),
    memoryLimitBytes: z.int(),
    cpuUsec: z.int().meta({ description: 'CPU time since the sandbox started, in microseconds.' }),
    cpuMillis: z.int().meta({ description: 'The limit, in thousandths of a CPU.' }),
    pids: z.int(),
    pidsLimit: z.int(),
    oomKills: z.int(),
    diskBytes: z
      .int()
      .nullable()
      .meta({ description: 'What it has written, as far as nobody shares it; null: not counted here.' }),
    diskLimitBytes: z.int().nullable(),
    sampledAt: z.iso.datetime(),
  })
  .meta({ id: 'Usage' })
export type Usage = z.infer<typeof Usage>

export const UsageSample = z
  .object({
    at: z.iso.datetime(),
    cpuMillis: z.int().meta({ description: 'The limit, in thousandths of a CPU.' }),
    cpuPercent: z
      .number()
      .meta({ description: 'Of one CPU, since the sample before; 200 is two CPUs at work.' }),
    memoryBytes: z.int(),
    memoryLimitBytes: z.int(),
    pids: z.int(),
    diskBytes: z.int().nullable(),
    diskLimitBytes: z.int().nullable(),
  })
  .meta({ id: 'UsageSample', description: 'What a sandbox used at one time.' })
export type UsageSample = z.infer<typeof UsageSample>

export const Stats = z
  .object({
    start: z.iso.datetime(),
    end: z.iso.datetime(),
    totalActive: z.int().meta({ description: 'Sandboxes that live now, whatever the dates.' }),
    running: z.int(),
    idle: z.int(),
    creating: z.int(),
    paused: z.int(),
    totalExecutions: z.int().meta({ description: 'Between the dates, like all that follow.' }),
    totalCpuTimeMs: z.int(),
    totalMemoryByteSec: z.number().meta({ description: 'Memory in use times time, sampled every minute.' }),
    totalNetworkEgressBytes: z.int(),
  })
  .meta({ id: 'Stats' })
export type Stats = z.infer<typeof Stats>
