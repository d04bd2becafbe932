/**
 * Snapshots from a build file, for Node, Bun and Deno: what `caisson snapshot build` does.
 *
 * @module
 */
export { type BuildOptions, type BuildResult, buildSnapshot } from './build/build.ts'
export type { BuildSpec } from './build/build-spec.ts'
export type { ChosenFile } from './build/files.ts'
export { BUILD_FILES, type BuildPlan, type PlanOptions, planSnapshot } from './build/plan.ts'
export { snapshotTemplate } from './build/template.ts'
