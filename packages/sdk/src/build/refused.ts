import { SandboxError } from '@caisson/protocol/errors'

/** What is wrong with a build, and where. */
export const refused = (path: string, message: string, cause?: unknown): SandboxError =>
  new SandboxError('invalid_request', { issues: [{ path, message }] }, { message, cause })
