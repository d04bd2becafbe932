import { z } from 'zod'

/** A field that may be left out, or be null, which in JSON of protocol buffers is the same. */
export function field<S extends z.ZodType>(schema: S): z.ZodType<z.output<S> | undefined> {
  return schema.nullish().transform((value) => value ?? undefined) as z.ZodType<z.output<S> | undefined>
}

/** An integer, as a number or as its digits. */
export const integer = z.union([z.int(), z.string().regex(/^-?\d{1,15}$/)]).transform(Number)

/** Bytes in base64, of either alphabet. */
export const bytes = z
  .string()
  .regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64')
  .transform((text) => Buffer.from(text, 'base64'))

/** An enumeration, by name or number. @returns the name */
export function enumeration<N extends string>(numbers: Record<N, number>): z.ZodType<N> {
  const names = Object.keys(numbers) as N[]
  return z.union([z.string(), z.int()]).transform((value, context) => {
    const name = names.find((each) => each === value || numbers[each] === value)
    if (name !== undefined) return name
    context.addIssue({ code: 'custom', message: `must be one of ${names.join(', ')}` })
    return z.NEVER
  }) as unknown as z.ZodType<N>
}
