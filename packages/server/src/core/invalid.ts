import { SandboxError } from '@caisson/protocol/errors'

/** An `invalid_request` about one field. `path` is the field's place in the request, such as `resources.memory`. */
export function invalid(path: string, message: string): SandboxError {
  return new SandboxError('invalid_request', { issues: [{ path, message }] })
}
