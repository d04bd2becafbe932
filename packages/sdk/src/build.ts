/**
 * Snapshots and templates from build files, for Node, Bun and Deno: what `caisson snapshot build` and `caisson template
 * build` do.
 *
 * @module
 */
export { type BuildOptions, type BuildResult, buildSnapshot } from './build/build.ts'
export type { BuildSpec } from './build/build-spec.ts'
export type { ChosenFile } from './build/files.ts'
export { BUILD_FILES, type BuildPlan, type PlanOptions, planSnapshot } from './build/plan.ts'
export { snapshotTemplate } from './build/template.ts'
export { readTemplate, TEMPLATE_FILES, type TemplateFile } from './build/template-file.ts'
