import { z } from 'zod'
import { envMap, filePath, noNul, quantity, userName } from './common.ts'
import { snapshotTag } from './snapshot.ts'

/** SHA-256, hexadecimal: names files that a build copies. */
export const fileHash = z.string().regex(/^[0-9a-f]{64}$/)

export const templateName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$/)
  .meta({ description: 'Lower-case letters, digits and inner ".", "_", "-", at most 128; unique.' })

export const BuildStep = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('copy'),
      /** Of an uploaded archive (tar, gzip allowed) whose entries lie at the paths that `source` names. */
      files: fileHash,
      source: filePath,
      target: filePath,
      user: userName.optional(),
      mode: z.int().min(0).max(0o7777).optional(),
      force: z.boolean().optional(),
    }),
    z.strictObject({
      type: z.literal('run'),
      command: noNul(131_072).min(1),
      user: userName.optional(),
      force: z.boolean().optional(),
    }),
    z.strictObject({ type: z.literal('env'), env: envMap, force: z.boolean().optional() }),
    z.strictObject({ type: z.literal('workdir'), path: filePath, force: z.boolean().optional() }),
    z.strictObject({ type: z.literal('user'), user: userName, force: z.boolean().optional() }),
  ])
  .meta({
    id: 'BuildStep',
    description:
      'copy: files into the template; run: a shell command; env, workdir, user: for the steps that follow and for its sandboxes. force: this step and those after it are not taken from an earlier build.',
  })
export type BuildStep = z.infer<typeof BuildStep>

/** What a build begins with: exactly one. */
export const BuildFrom = z
  .strictObject({
    runtime: z.string().max(256).optional(),
    template: z.string().max(256).optional(),
    snapshot: z.string().max(256).optional(),
    image: z.string().max(512).optional().meta({
      description: 'An OCI image: one that was imported, or "registry/name:tag", which is imported first.',
    }),
  })
  .meta({ id: 'BuildFrom' })
export type BuildFrom = z.infer<typeof BuildFrom>

export const Template = z
  .object({
    id: z.string(),
    name: z.string(),
    tags: z.array(z.object({ tag: z.string(), buildId: z.string(), createdAt: z.iso.datetime() })),
    resources: z
      .object({ memory: z.string().optional(), cpu: z.string().optional(), disk: z.string().optional() })
      .meta({ description: 'Of its sandboxes that ask for none.' }),
    sandboxes: z.int().meta({ description: 'Sandboxes that were made from it and have not ended.' }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({
    id: 'Template',
    description: 'What sandboxes are made from: built in steps, with a program that runs from the start.',
  })
export type Template = z.infer<typeof Template>

export const Build = z
  .object({
    id: z.string(),
    templateId: z.string(),
    status: z.enum(['waiting', 'building', 'ready', 'failed']),
    tags: z.array(z.string()),
    reason: z
      .object({
        message: z.string(),
        step: z.int().nullable().meta({ description: 'From 1; null: before or after the steps.' }),
      })
      .nullable(),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Build' })
export type Build = z.infer<typeof Build>

export const BuildLogEntry = z
  .object({
    at: z.iso.datetime(),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    step: z.int().nullable(),
    message: z.string(),
  })
  .meta({ id: 'BuildLogEntry' })
export type BuildLogEntry = z.infer<typeof BuildLogEntry>

export const CreateTemplate = z
  .strictObject({
    name: templateName.meta({ description: 'Of a new template, or of one that gets another build.' }),
    tags: z.array(snapshotTag).max(16).optional().meta({ description: 'Default: "latest".' }),
    resources: z
      .strictObject({ memory: quantity.optional(), cpu: quantity.optional(), disk: quantity.optional() })
      .optional(),
  })
  .meta({ id: 'CreateTemplate' })
export type CreateTemplate = z.input<typeof CreateTemplate>

export const StartBuild = z
  .strictObject({
    from: BuildFrom,
    user: userName.optional().meta({
      description:
        'Who the steps and its sandboxes run as, in the home of that user, unless a step says otherwise. Made when the image does not have it. Default: as in what it begins with.',
    }),
    steps: z.array(BuildStep).max(512).default([]),
    startCommand: noNul(131_072).min(1).optional().meta({
      description: 'Run by a shell from the start of each sandbox on, in the background.',
    }),
    readyCommand: noNul(131_072).min(1).optional().meta({
      description: 'Tried again and again until it ends with 0; a sandbox is there when it has.',
    }),
    force: z.boolean().optional().meta({ description: 'No step is taken from an earlier build.' }),
  })
  .meta({ id: 'StartBuild' })
export type StartBuild = z.input<typeof StartBuild>
