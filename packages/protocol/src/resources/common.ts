import { z } from 'zod'

/** Pieces that several resources are made of. */

export const duration = z.union([z.string().max(32), z.int().min(0)]).meta({
  id: 'Duration',
  description: 'Milliseconds as a number, or text such as "30s", "10m", "1h30m", "7d".',
})
export const quantity = z.string().max(32).meta({
  id: 'Quantity',
  description: 'A Kubernetes quantity: "512Mi", "1Gi" or "1G" of bytes; "500m" or "2" of CPUs.',
})
export const stringMap = z.record(z.string().min(1).max(256), z.string().max(65_536))
export const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
  .meta({
    description:
      'Lower-case letters, digits and inner hyphens, at most 63; unique among sandboxes that have not ended.',
  })
export const text = z.string().max(4096)
/** Arguments, names and paths may hold anything but NUL, which C strings cannot carry. */
export const noNul = (max: number) =>
  z
    .string()
    .max(max)
    .refine((s) => !s.includes('\0'), 'must not contain NUL')
export const filePath = noNul(4095).min(1)
export const userName = noNul(256).min(1)
export const envMap = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and _')
    .max(256),
  noNul(131_072),
)
