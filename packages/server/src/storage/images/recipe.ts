import { createHash } from 'node:crypto'
import { z } from 'zod'
import { npmPackage } from './package-names.ts'

const packageName = z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/)
const userName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/)
const plainPath = z.string().regex(/^(\/[A-Za-z0-9._-]+)+$/, 'must be an absolute path of plain names')
const runtimeId = z.string().regex(/^[a-z0-9][a-z0-9.-]*:[a-z0-9][a-z0-9.-]*$/)
const environment = z.record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/), z.string().regex(/^[^"\n\\$`]*$/))

/** A package of the npm registry that is unpacked as it is: how node, npm and bun themselves come into an image. */
const Unpack = z.strictObject({
  /** `{arch}` stands for the machine's architecture as Node names it: x64, arm64. */
  package: z
    .string()
    .refine(
      (name) => npmPackage(name.replace('{arch}', 'x64')) !== null,
      'must be the name of an npm package',
    ),
  /** The newest version that begins with these numbers, or the one that has this tag. */
  version: z.string().regex(/^(\d+(\.\d+){0,2}|[a-z][a-z-]*)$/),
  /** Where the package's files go. */
  into: plainPath,
  /** Only these of its files and directories; absent: all. */
  only: z.array(z.string().regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/)).optional(),
  /** Symbolic links that are made: path → target. Targets become executable. */
  links: z.record(plainPath, plainPath).default({}),
})
export type Unpack = z.infer<typeof Unpack>

const described = {
  /** `name:tag`. */
  id: runtimeId,
  name: z.string(),
  description: z.string(),
  icon: z.string(),
  color: z.string().regex(/^#[0-9a-f]{6}$/),
  url: z.url(),
  tags: z.array(z.string()),
  /** What it lacks or does otherwise than its name promises, in a sentence. */
  notes: z.string().nullable().default(null),
  /** The least a sandbox of this runtime is useful with, in the units of a create request. */
  requirements: z.strictObject({ memory: z.string(), cpu: z.string(), disk: z.string() }),
  /** Run by root in a builder sandbox, above what the Debian packages or `from` give: its packages are not trusted. */
  npm: z
    .strictObject({
      unpack: z.array(Unpack).default([]),
      /** Installed for all users by npm, or by bun where there is no npm: `name`, `@scope/name`, `name@version`. */
      packages: z
        .array(z.string().refine((text) => npmPackage(text) !== null, 'must name an npm package'))
        .default([]),
    })
    .optional(),
  /** A program of its sandboxes; one of a derived recipe stands in place of that of `from`. */
  start: z
    .strictObject({
      /** For a shell, as the image's user in its working directory. */
      command: z.string().min(1),
      /** For a shell, tried until it ends with 0; null: the program counts as started at once. */
      ready: z.string().min(1).nullable(),
      /** For a shell: ends with 0 when nothing more of its start is to come; the program is kept as it runs then. */
      settled: z.string().min(1).optional(),
    })
    .optional(),
  /** Ports of that program, which are exposed to those with a token. */
  ports: z.array(z.int().min(1).max(65_535)).min(1).optional(),
  /** Where commands run that name no directory. Default: the home of the user. */
  workdir: plainPath.optional(),
  /** Commands that end with 0 in a sandbox of it, which shows that it has what it promises. */
  verify: z.array(z.array(z.string()).min(1)).default([]),
}

/** A runtime that begins with a Debian tree. */
const DebianRecipe = z.strictObject({
  ...described,
  debian: z.strictObject({
    suite: z.string().regex(/^[a-z]+$/),
    components: z.array(z.string().regex(/^[a-z-]+$/)).min(1),
    packages: z.array(packageName),
    /** Put into the tree as they are: nothing of them is run. What needs a script to run is for `npm`. */
    unpack: z.array(Unpack).optional(),
  }),
  /** The files of the folder `files` beside the recipe are part of the tree, owned by root. */
  files: z.literal(true).optional(),
  user: z.strictObject({
    name: userName,
    uid: z.int().min(1).max(65533),
    home: plainPath,
    shell: plainPath,
    /** Root without a password, inside the sandbox. */
    sudo: z.boolean(),
  }),
  /** The environment that commands start from; also in the image's /etc/environment, for sudo and logins. */
  env: environment,
})
export type DebianRecipe = z.infer<typeof DebianRecipe>

/** Another runtime with more in it. */
const DerivedRecipe = z.strictObject({
  ...described,
  npm: described.npm.unwrap(),
  /** The runtime that it is made from; its user stays. */
  from: runtimeId,
  /** Beside the environment of `from`; commands start from both. */
  env: environment.default({}),
})
export type DerivedRecipe = z.infer<typeof DerivedRecipe>

/** What a file `runtimes/<name>/recipe.json` holds: how a runtime shows in the catalogue and how it is built. */
export const Recipe = z.union([DebianRecipe, DerivedRecipe])
export type Recipe = z.infer<typeof Recipe>

export function isDerived(recipe: Recipe): recipe is DerivedRecipe {
  return 'from' in recipe
}

/** Part of every digest. Raise it when the same recipe would give another tree. */
const BUILDER = 1

/**
 * @param files the digest of the recipe's files; null: it has none
 * @returns the digest of what decides the Debian tree's content; names, colours and the order of keys do not.
 */
export function recipeDigest(
  recipe: DebianRecipe,
  files: string | null = null,
  arch: string = process.arch,
): string {
  const { debian, user, env } = recipe
  return digestOf({
    builder: BUILDER,
    arch,
    debian,
    user,
    env,
    ...programOf(recipe),
    ...(files && { files }),
  })
}

/** @returns the digest of what a recipe puts above an image; null: nothing. */
export function stepsDigest(recipe: Recipe, base: string, arch: string = process.arch): string | null {
  const { npm, env } = recipe
  if (npm === undefined) return null
  return digestOf({ builder: BUILDER, arch, base, npm, env, ...programOf(recipe) })
}

/** How sandboxes of an image start. */
export interface ImageProgram {
  /** Absent: the home of its user. */
  workdir?: string
  /** What runs in its sandboxes from their start on; absent: nothing. */
  start?: { command: string; ready: string | null; settled?: string | undefined }
  /** Ports of that program, which are exposed to those with a token. */
  ports?: number[]
}

/** Of a recipe or an image, what it says of that. */
export function programOf({
  start,
  ports,
  workdir,
}: { [K in keyof ImageProgram]: ImageProgram[K] | undefined }): ImageProgram {
  return {
    ...(start !== undefined && { start }),
    ...(ports !== undefined && { ports }),
    ...(workdir !== undefined && { workdir }),
  }
}

export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const rows = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${rows.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
}
