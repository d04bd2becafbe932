import { z } from 'zod'
import { invalid } from '../errors.ts'
import { parse } from '../input.ts'

const id = z.coerce.number().int().min(0).max(65_535).optional()

/** What is in the query of a request for the content of a volume. */
export const Path = z.object({ path: z.string().min(1) })
export const Owned = { uid: id, gid: id, mode: z.coerce.number().int().min(0).max(0o7777).optional() }
export const Flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

/** Fields that nobody knows are left out, as these clients expect. @throws SandboxError `invalid_request` */
export function readQuery<S extends z.ZodType>(schema: S, query: URLSearchParams): z.output<S> {
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of query) {
    if (name in fields) throw invalid(name, 'was given twice')
    fields[name] = value
  }
  return parse(schema, { ...fields })
}
