import type { ErrorCode, SandboxError } from '@caisson/protocol/errors'
import type { PortRoute } from '../port-route.ts'
import { statusOf, type Told } from './answer.ts'

/** To these clients a sandbox that does not run, and that a request does not wake, is not there. */
const GONE: readonly ErrorCode[] = ['sandbox_not_found', 'sandbox_ended', 'invalid_transition']
const CLOSED: readonly ErrorCode[] = ['port_closed', 'port_not_exposed']

/**
 * How clients of E2B and Moru are told why a request to a port was refused: they look at the status, and at `code`, which
 * repeats it.
 */
export function toldAsForeign({ sandbox: sandboxId, port, client }: PortRoute, error: SandboxError): Told {
  const refusal = (code: number, message: string, more: object = {}): Told => ({
    status: code,
    body: { sandboxId, message, ...more, code },
  })
  if (GONE.includes(error.code)) return refusal(502, 'The sandbox was not found')
  if (CLOSED.includes(error.code))
    return refusal(502, 'The sandbox is running but port is not open', { port })
  if (error.code === 'resume_failed') return refusal(502, error.message)
  if (error.code === 'port_denied')
    return refusal(403, `${error.message} These clients send it as ${client}-traffic-access-token.`)
  return refusal(statusOf(error), error.message)
}
