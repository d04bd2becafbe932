import { z } from 'zod'
import {
  Build,
  BuildLogEntry,
  CreateTemplate,
  fileHash,
  StartBuild,
  snapshotTag,
  Template,
} from '../resources.ts'
import { count, define, type Operation, page, reference } from './operation.ts'

const byTemplate = z.object({
  template: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)
    .meta({ description: 'Id or name.' }),
})
const byBuild = z.object({ build: reference })
const byHash = z.object({ hash: fileHash })

/** Templates: what sandboxes are made from, built in steps on the server. */
export const templates = {
  createTemplate: define({
    summary: 'Create a template, or find the one of this name, with a build that waits for its steps',
    http: 'POST /v1/templates',
    scope: 'exec',
    body: CreateTemplate,
    output: z.object({ template: Template, build: Build }),
    status: 201,
    errors: ['too_many'],
  }),
  startBuild: define({
    summary: 'Start a build that waits; it goes on by itself',
    http: 'POST /v1/builds/{build}/start',
    scope: 'exec',
    params: byBuild,
    body: StartBuild,
    output: Build,
    errors: [
      'build_not_found',
      'build_state',
      'runtime_not_found',
      'template_not_found',
      'snapshot_not_found',
      'file_not_found',
      'not_supported',
      'too_many',
    ],
  }),
  getBuild: define({
    summary: 'Get a build',
    http: 'GET /v1/builds/{build}',
    scope: 'read',
    params: byBuild,
    output: Build,
    errors: ['build_not_found'],
  }),
  readBuildLog: define({
    summary: 'Read what a build has told, from an entry on',
    http: 'GET /v1/builds/{build}/log',
    scope: 'read',
    params: byBuild,
    query: z.strictObject({
      offset: count(0, Number.MAX_SAFE_INTEGER),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
    output: z.object({ entries: z.array(BuildLogEntry) }),
    errors: ['build_not_found'],
  }),
  cancelBuild: define({
    summary: 'End a build; one that has ended stays as it is',
    http: 'DELETE /v1/builds/{build}',
    scope: 'exec',
    params: byBuild,
    output: Build,
    errors: ['build_not_found'],
  }),
  hasBuildFiles: define({
    summary: 'Whether the files of this hash were uploaded',
    http: 'GET /v1/build-files/{hash}',
    scope: 'read',
    params: byHash,
    output: z.object({ present: z.boolean() }),
    errors: [],
  }),
  putBuildFiles: define({
    summary: 'Upload files for copy steps: a tar archive, which may be compressed by gzip',
    http: 'PUT /v1/build-files/{hash}',
    scope: 'exec',
    params: byHash,
    upload: true,
    status: 204,
    errors: ['payload_too_large'],
  }),
  listTemplates: define({
    summary: 'List templates',
    http: 'GET /v1/templates',
    scope: 'read',
    query: z.strictObject({
      ...page,
      sort: z.enum(['name', 'created']).default('name'),
      direction: z.enum(['asc', 'desc']).default('asc'),
    }),
    output: z.object({ templates: z.array(Template), total: z.int() }),
    errors: [],
  }),
  getTemplate: define({
    summary: 'Get a template by id or name',
    http: 'GET /v1/templates/{template}',
    scope: 'read',
    params: byTemplate,
    output: Template,
    errors: ['template_not_found'],
  }),
  deleteTemplate: define({
    summary: 'Delete a template and its builds; its sandboxes go on',
    http: 'DELETE /v1/templates/{template}',
    scope: 'exec',
    params: byTemplate,
    status: 204,
    errors: ['template_not_found'],
  }),
  tagTemplate: define({
    summary: 'Put tags on a build that is ready, taking them from others of the same template',
    http: 'PUT /v1/templates/{template}/tags',
    scope: 'exec',
    params: byTemplate,
    body: z.strictObject({
      build: z.string().max(128).meta({ description: 'Id of a build, or a tag of the template.' }),
      tags: z.array(snapshotTag).min(1).max(16),
    }),
    output: Template,
    errors: ['template_not_found', 'build_not_found', 'build_state'],
  }),
  untagTemplate: define({
    summary: 'Take tags away; those that it does not have are no failure',
    http: 'POST /v1/templates/{template}/untag',
    scope: 'exec',
    params: byTemplate,
    body: z.strictObject({ tags: z.array(snapshotTag).min(1).max(16) }),
    output: Template,
    errors: ['template_not_found'],
  }),
} as const satisfies Record<string, Operation>
