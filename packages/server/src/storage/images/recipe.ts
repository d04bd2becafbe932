import { createHash } from 'node:crypto'
import { z } from 'zod'

const packageName = z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/)
const userName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/)
const plainPath = z.string().regex(/^(\/[A-Za-z0-9._-]+)+$/, 'must be an absolute path of plain names')

/** What a file `runtimes/<name>/recipe.json` holds: how a runtime shows in the catalogue and how it is built. */
export const Recipe = z.strictObject({
  /** `name:tag`. */
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*:[a-z0-9][a-z0-9.-]*$/),
  name: z.string(),
  description: z.string(),
  icon: z.string(),
  color: z.string().regex(/^#[0-9a-f]{6}$/),
  url: z.url(),
  tags: z.array(z.string()),
  /** The least a sandbox of this runtime is useful with, in the units of a create request. */
  requirements: z.strictObject({ memory: z.string(), cpu: z.string(), disk: z.string() }),
  debian: z.strictObject({
    suite: z.string().regex(/^[a-z]+$/),
    components: z.array(z.string().regex(/^[a-z-]+$/)).min(1),
    packages: z.array(packageName),
  }),
  user: z.strictObject({
    name: userName,
    uid: z.int().min(1).max(65533),
    home: plainPath,
    shell: plainPath,
    /** Root without a password, inside the sandbox. */
    sudo: z.boolean(),
  }),
  /** The environment that commands start from; also in the image's /etc/environment, for sudo and logins. */
  env: z.record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/), z.string().regex(/^[^"\n\\$`]*$/)),
})
export type Recipe = z.infer<typeof Recipe>

/** Part of every digest. Raise it when the same recipe would give another tree. */
const BUILDER = 1

/** @returns the digest of what decides the tree's content; names, colours and the order of keys do not. */
export function recipeDigest(recipe: Recipe, arch: string = process.arch): string {
  const { debian, user, env } = recipe
  return createHash('sha256')
    .update(canonical({ builder: BUILDER, arch, debian, user, env }))
    .digest('hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const rows = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${rows.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
}
