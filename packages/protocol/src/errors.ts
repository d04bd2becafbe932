/**
 * Errors are rows: a code, the HTTP status, whether the same request may succeed later, and a message over typed
 * details that says what happened, to what, and what to do now. A retired code is never used again.
 */
interface Row<D extends object> {
  status: number
  retry: boolean
  message: (d: D) => string
}

const row = <D extends object>(r: Row<D>): Row<D> => r
type None = Record<never, never>
type OfSandbox = { sandbox: string }
type OfPath = { path: string }

export const ERRORS = {
  invalid_request: row<{ issues: { path: string; message: string }[] }>({
    status: 400,
    retry: false,
    message: (d) =>
      `The request is not valid: ${d.issues.map((i) => (i.path ? `${i.path}: ${i.message}` : i.message)).join('; ')}. See /v1/openapi.json for what this operation takes.`,
  }),
  unauthenticated: row<None>({
    status: 401,
    retry: false,
    message: () =>
      'No valid API key was given. Send "Authorization: Bearer <key>"; make a key on the server with "caisson keys create".',
  }),
  forbidden: row<{ needs: string; has: string[] }>({
    status: 403,
    retry: false,
    message: (d) =>
      `This needs the scope "${d.needs}" and the key has ${d.has.map((s) => `"${s}"`).join(', ') || 'none'}. Use a key with that scope.`,
  }),
  route_not_found: row<{ route: string }>({
    status: 404,
    retry: false,
    message: (d) => `There is no route ${d.route}. GET /v1/openapi.json lists them.`,
  }),
  sandbox_not_found: row<OfSandbox>({
    status: 404,
    retry: false,
    message: (d) =>
      `Sandbox "${d.sandbox}" does not exist. It may have been deleted or its record purged; "caisson list --all" shows what there is.`,
  }),
  execution_not_found: row<{ execution: string }>({
    status: 404,
    retry: false,
    message: (d) => `Execution "${d.execution}" does not exist, or its record was purged with its sandbox.`,
  }),
  key_not_found: row<{ key: string }>({
    status: 404,
    retry: false,
    message: (d) => `API key "${d.key}" does not exist. "caisson keys list" shows the ids.`,
  }),
  runtime_not_found: row<{ runtime: string; available: string[] }>({
    status: 404,
    retry: false,
    message: (d) => `Runtime "${d.runtime}" does not exist. Available: ${d.available.join(', ') || 'none'}.`,
  }),
  runtime_not_built: row<{ runtime: string }>({
    status: 503,
    retry: true,
    message: (d) =>
      `Runtime "${d.runtime}" is not built on this server. Run "caisson setup" there, then try again.`,
  }),
  snapshot_not_found: row<{ snapshot: string }>({
    status: 404,
    retry: false,
    message: (d) => `Snapshot "${d.snapshot}" does not exist. "caisson snapshot list" shows what there is.`,
  }),
  snapshot_ambiguous: row<{ snapshot: string; matches: string[] }>({
    status: 409,
    retry: false,
    message: (d) => `"${d.snapshot}" may mean ${d.matches.join(', ')}. Name one as "name:tag" or by its id.`,
  }),
  snapshot_unsafe: row<{ sandbox: string; files: string[] }>({
    status: 422,
    retry: false,
    message: (d) =>
      `A public snapshot of ${d.sandbox} would show ${d.files.join(', ')}, which may hold secrets. Remove them, or repeat with "confirm" to publish them all the same.`,
  }),
  checkpoint_not_found: row<{ sandbox: string; checkpoint: string }>({
    status: 404,
    retry: false,
    message: (d) =>
      `Sandbox ${d.sandbox} has no checkpoint "${d.checkpoint}". "caisson checkpoint list ${d.sandbox}" shows them.`,
  }),
  checkpoint_exists: row<{ sandbox: string; checkpoint: string }>({
    status: 409,
    retry: false,
    message: (d) =>
      `Sandbox ${d.sandbox} has a checkpoint "${d.checkpoint}" already. Delete it or choose another name.`,
  }),
  volume_not_found: row<{ volume: string }>({
    status: 404,
    retry: false,
    message: (d) => `Volume "${d.volume}" does not exist. "caisson volume list" shows what there is.`,
  }),
  volume_exists: row<{ volume: string }>({
    status: 409,
    retry: false,
    message: (d) => `A volume "${d.volume}" exists already. Use it, or choose another name.`,
  }),
  volume_in_use: row<{ volume: string; sandboxes: string[] }>({
    status: 409,
    retry: false,
    message: (d) =>
      `Volume "${d.volume}" is mounted in ${d.sandboxes.join(', ')}. Delete those sandboxes first.`,
  }),
  template_not_found: row<{ template: string }>({
    status: 404,
    retry: false,
    message: (d) =>
      `Template "${d.template}" does not exist, or has no build that is ready. "caisson template list" shows them.`,
  }),
  template_in_use: row<{ name: string; template: string }>({
    status: 409,
    retry: false,
    message: (d) => `The name "${d.name}" belongs to template ${d.template}. Choose another name.`,
  }),
  build_not_found: row<{ build: string }>({
    status: 404,
    retry: false,
    message: (d) => `Build "${d.build}" does not exist.`,
  }),
  build_state: row<{ build: string; status: string; event: string }>({
    status: 409,
    retry: false,
    message: (d) => `Build ${d.build} is ${d.status} and cannot ${d.event}. Create another build.`,
  }),
  session_not_found: row<{ session: string }>({
    status: 404,
    retry: false,
    message: (d) =>
      `Session "${d.session}" does not exist. "caisson session list --all" shows what there is.`,
  }),
  pause_failed: row<{ sandbox: string; depth: string; reason: string; state: string }>({
    status: 500,
    retry: true,
    message: (d) =>
      `Sandbox ${d.sandbox} could not be paused (${d.depth}): ${d.reason}. ${d.state} Another depth may work.`,
  }),
  resume_failed: row<{ sandbox: string; reason: string }>({
    status: 500,
    retry: true,
    message: (d) =>
      `Sandbox ${d.sandbox} could not be resumed: ${d.reason}. It is paused as before, and nothing of it is lost.`,
  }),
  save_failed: row<{ sandbox: string; reason: string }>({
    status: 500,
    retry: true,
    message: (d) => `The files of ${d.sandbox} could not be saved: ${d.reason}. It goes on as before.`,
  }),
  archive_invalid: row<{ reason: string }>({
    status: 422,
    retry: false,
    message: (d) => `The archive is refused: ${d.reason}. Nothing was kept of it.`,
  }),
  image_invalid: row<{ image: string; reason: string }>({
    status: 422,
    retry: false,
    message: (d) => `The image ${d.image} is refused: ${d.reason}. Nothing was kept of it.`,
  }),
  runtime_exists: row<{ runtime: string }>({
    status: 409,
    retry: false,
    message: (d) => `Runtime "${d.runtime}" exists already. Delete it or choose another name.`,
  }),
  build_failed: row<{ what: string; reason: string; log: string }>({
    status: 422,
    retry: false,
    message: (d) => `${d.what} could not be built: ${d.reason}. The end of the log:\n${d.log}`,
  }),
  name_taken: row<{ name: string; sandbox: string }>({
    status: 409,
    retry: false,
    message: (d) =>
      `The name "${d.name}" belongs to sandbox ${d.sandbox}. Delete that one or choose another name.`,
  }),
  idempotency_conflict: row<{ key: string }>({
    status: 409,
    retry: false,
    message: (d) =>
      `Idempotency key "${d.key}" was used with another request. Use a new key for a new request.`,
  }),
  conflict: row<{ what: string }>({
    status: 409,
    retry: true,
    message: (d) => `${d.what} was changed by another request at the same time. Read it again and repeat.`,
  }),
  invalid_transition: row<{ sandbox: string; from: string; event: string }>({
    status: 409,
    retry: false,
    message: (d) => `Sandbox ${d.sandbox} is ${d.from} and cannot ${d.event}.`,
  }),
  execution_ended: row<{ execution: string }>({
    status: 409,
    retry: false,
    message: (d) => `Execution ${d.execution} has ended. Read its output or start another.`,
  }),
  not_supported: row<{ what: string; reason: string }>({
    status: 422,
    retry: false,
    message: (d) => `${d.what} is not supported here: ${d.reason}.`,
  }),
  command_not_found: row<{ command: string; reason: string }>({
    status: 422,
    retry: false,
    message: (d) =>
      `"${d.command}" could not be started: ${d.reason}. Check the name, PATH and the execute permission.`,
  }),
  cannot_start: row<{ command: string; reason: string }>({
    status: 422,
    retry: false,
    message: (d) => `"${d.command}" could not be started: ${d.reason}.`,
  }),
  file_not_found: row<OfPath>({
    status: 404,
    retry: false,
    message: (d) => `"${d.path}" does not exist in the sandbox.`,
  }),
  file_exists: row<OfPath>({
    status: 409,
    retry: false,
    message: (d) => `"${d.path}" exists already. Remove it or choose another path.`,
  }),
  file_denied: row<{ path: string; user: string }>({
    status: 403,
    retry: false,
    message: (d) =>
      `User "${d.user}" may not do that to "${d.path}". Name another user, or change its mode or owner.`,
  }),
  file_wrong_type: row<{ path: string; reason: string }>({
    status: 422,
    retry: false,
    message: (d) => `"${d.path}" cannot be used that way: ${d.reason}.`,
  }),
  directory_not_empty: row<OfPath>({
    status: 409,
    retry: false,
    message: (d) => `Directory "${d.path}" is not empty. Ask for recursive removal if that is meant.`,
  }),
  no_space: row<OfPath>({
    status: 507,
    retry: false,
    message: (d) =>
      `There is no space left for "${d.path}". Remove files, or give the sandbox a larger disk.`,
  }),
  file_failed: row<{ path: string; reason: string }>({
    status: 422,
    retry: false,
    message: (d) => `The operation on "${d.path}" failed: ${d.reason}.`,
  }),
  upload_offset: row<{ path: string; offset: number }>({
    status: 409,
    retry: false,
    message: (d) => `The upload of "${d.path}" holds ${d.offset} bytes. Go on at that offset or below.`,
  }),
  checksum_mismatch: row<{ path: string; expected: string; actual: string }>({
    status: 422,
    retry: false,
    message: (d) =>
      `The SHA-256 of "${d.path}" is ${d.actual}, not ${d.expected}. The file is as it was before; send it again.`,
  }),
  archive_refused: row<{ entry: string; reason: string; entries: number }>({
    status: 422,
    retry: false,
    message: (d) =>
      `The archive was refused at "${d.entry}": ${d.reason}. ${d.entries} entries before it were unpacked and stay.`,
  }),
  signature_invalid: row<None>({
    status: 403,
    retry: false,
    message: () => 'The link is not valid, or not any more. Ask its maker for a new one.',
  }),
  port_closed: row<{ sandbox: string; port: number; reason: string }>({
    status: 502,
    retry: true,
    message: (d) =>
      `Nothing answers on port ${d.port} in sandbox ${d.sandbox}: ${d.reason}. Start a program that listens on it.`,
  }),
  port_not_exposed: row<{ sandbox: string; port: number }>({
    status: 404,
    retry: false,
    message: (d) =>
      `Port ${d.port} of sandbox ${d.sandbox} is not exposed. "caisson port add ${d.sandbox} ${d.port}" exposes it.`,
  }),
  port_denied: row<{ sandbox: string; port: number }>({
    status: 401,
    retry: false,
    message: (d) =>
      `Port ${d.port} of sandbox ${d.sandbox} is private and no valid token was given. "caisson port link" makes a link; programs send its token as the header caisson-port-token.`,
  }),
  ssh_key_not_found: row<{ key: string }>({
    status: 404,
    retry: false,
    message: (d) => `SSH key "${d.key}" does not exist. "caisson ssh-keys list" shows the ids.`,
  }),
  payload_too_large: row<{ limit: number; what: string }>({
    status: 413,
    retry: false,
    message: (d) =>
      `${d.what} is larger than the limit of ${d.limit} bytes. Send less, or stream it as a file.`,
  }),
  too_many: row<{ what: string; limit: number }>({
    status: 429,
    retry: true,
    message: (d) =>
      `There are ${d.limit} ${d.what} already, the configured limit. Wait for some to end, or raise the limit.`,
  }),
  sandbox_ended: row<{ sandbox: string; reason: string }>({
    status: 409,
    retry: false,
    message: (d) => `Sandbox ${d.sandbox} has ended: ${d.reason.replace(/\.$/, '')}. Create another.`,
  }),
  agent_lost: row<{ sandbox: string; reason: string }>({
    status: 502,
    retry: false,
    message: (d) =>
      `The agent of sandbox ${d.sandbox} does not answer: ${d.reason}. Delete the sandbox and create another.`,
  }),
  create_failed: row<{ sandbox: string; stage: string; reason: string }>({
    status: 500,
    retry: true,
    message: (d) =>
      `Sandbox ${d.sandbox} could not be created: ${d.stage} failed: ${d.reason}. "caisson doctor" checks this host.`,
  }),
  host_not_ready: row<{ what: string; fix: string }>({
    status: 503,
    retry: false,
    message: (d) => `This host cannot run sandboxes: ${d.what}. ${d.fix}`,
  }),
  shutting_down: row<None>({
    status: 503,
    retry: true,
    message: () => 'The server is stopping and takes no new work. Try again when it is back.',
  }),
  server_unreachable: row<{ url: string; reason: string }>({
    status: 503,
    retry: true,
    message: (d) =>
      `The server at ${d.url} cannot be reached: ${d.reason}. Start it with "caisson serve", or check CAISSON_URL.`,
  }),
  connection_lost: row<{ what: string }>({
    status: 502,
    retry: true,
    message: (d) =>
      `The connection broke during ${d.what}. What was started goes on; connect again to follow it.`,
  }),
  aborted: row<{ what: string }>({
    status: 499,
    retry: false,
    message: (d) => `${d.what} was aborted by the caller.`,
  }),
  internal: row<{ request: string }>({
    status: 500,
    retry: true,
    message: (d) => `The server failed at this request (${d.request}); its log says why. Please report it.`,
  }),
} as const

export type ErrorCode = keyof typeof ERRORS
export type ErrorDetails<C extends ErrorCode> = Parameters<(typeof ERRORS)[C]['message']>[0]

/** What an error looks like on the wire. */
export interface ErrorBody {
  error: { code: string; message: string; retry: boolean; details: Record<string, unknown> }
}

/** The one error class: compare `code`, read `details`. */
export class SandboxError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'SandboxError'
  readonly code: C
  readonly details: ErrorDetails<C>

  constructor(code: C, details: ErrorDetails<C>, options?: ErrorOptions & { message?: string }) {
    super(options?.message ?? (ERRORS[code].message as (d: unknown) => string)(details), options)
    this.code = code
    this.details = details
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  /** Whether the same request may succeed later. */
  get retry(): boolean {
    return ERRORS[this.code].retry
  }

  toJSON(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        retry: this.retry,
        details: this.details as Record<string, unknown>,
      },
    }
  }

  static is<C extends ErrorCode>(error: unknown, code: C): error is SandboxError<C> {
    return error instanceof SandboxError && error.code === code
  }
}
