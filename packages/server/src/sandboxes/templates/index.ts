import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { hasBuildFiles, putBuildFiles } from './build-files.ts'
import { cancelBuild, getBuild, readBuildLog, startBuild } from './builds.ts'
import {
  createTemplate,
  deleteTemplate,
  getTemplate,
  listTemplates,
  tagTemplate,
  untagTemplate,
} from './templates.ts'

type TemplateUseCases = Pick<
  UseCases,
  | 'createTemplate'
  | 'startBuild'
  | 'getBuild'
  | 'readBuildLog'
  | 'cancelBuild'
  | 'hasBuildFiles'
  | 'putBuildFiles'
  | 'listTemplates'
  | 'getTemplate'
  | 'deleteTemplate'
  | 'tagTemplate'
  | 'untagTemplate'
>

/** Templates: what sandboxes are made from, built in steps. */
export function templateUseCases(context: Context): TemplateUseCases {
  return {
    createTemplate: (input) => createTemplate(context, input),
    startBuild: (...args) => startBuild(context, ...args),
    getBuild: (build) => getBuild(context, build),
    readBuildLog: (...args) => readBuildLog(context, ...args),
    cancelBuild: (build) => cancelBuild(context, build),
    hasBuildFiles: (hash) => hasBuildFiles(context, hash),
    putBuildFiles: (...args) => putBuildFiles(context, ...args),
    listTemplates: (query) => listTemplates(context, query),
    getTemplate: (template) => getTemplate(context, template),
    deleteTemplate: (template) => deleteTemplate(context, template),
    tagTemplate: (...args) => tagTemplate(context, ...args),
    untagTemplate: (...args) => untagTemplate(context, ...args),
  }
}
