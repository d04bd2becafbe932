/** What a build file asks for, variables put in. */
export interface BuildSpec {
  runtime: string
  name: string | undefined
  description: string | undefined
  dependencies: string[]
  packages: string[]
  /** As they were written, in their order. */
  files: string[]
  env: Record<string, string>
  metadata: Record<string, string>
}
