import type { ServerChannel, Session } from 'ssh2'
import { runCommand } from './command.ts'
import type { SshConnection } from './connection.ts'
import { takesPackets } from './ssh2-internals.ts'

const MAX_VARIABLES = 64
const MAX_VALUE = 4096

/** What a client asks of a session before and while its program runs. */
export interface Wishes {
  env: Record<string, string>
  tty: { cols: number; rows: number } | null
  /** Set while the program runs. */
  resize: ((cols: number, rows: number) => void) | null
  signal: ((name: string) => void) | null
}

/** The agent sets SHELL from the sandbox's own user database, which may name none. */
const KNOW_SHELL = '[ -n "$SHELL" ] || SHELL=/bin/sh;'
/** The user's login shell. */
const SHELL = ['/bin/sh', '-c', `${KNOW_SHELL} exec "$SHELL" -l`]
/** By the user's shell, as sshd does, so that what a client quotes for it means the same here. */
const command = (line: string): string[] => [
  '/bin/sh',
  '-c',
  `${KNOW_SHELL} exec "$SHELL" -c "$1"`,
  'sh',
  line,
]
/** Where the distributions keep it. */
const SFTP = [
  '/bin/sh',
  '-c',
  'for server; do [ -x "$server" ] && exec "$server"; done; echo "this sandbox has no sftp-server; install openssh-sftp-server in it" >&2; exit 127',
  'sh',
  '/usr/lib/openssh/sftp-server',
  '/usr/lib/ssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/libexec/sftp-server',
  '/usr/lib/sftp-server',
]

/** One session of a client: it says how it wants its program, then which. */
export function serveSession(connection: SshConnection, session: Session): void {
  const wishes: Wishes = { env: {}, tty: null, resize: null, signal: null }
  const closed = new AbortController()
  session.once('close', () => closed.abort(new Error('the SSH client has closed the session')))
  const gone = AbortSignal.any([connection.gone, closed.signal])
  const over = aborted(gone)
  connection.counts(session, over)
  takeWishes(session, wishes)

  const start = (accept: () => ServerChannel, argv: string[]) => {
    // At once: ssh2 forgets an end of input that comes before.
    const channel: ServerChannel | undefined = accept()
    if (channel === undefined) return
    if (!takesPackets(channel)) return channel.close()
    connection.watches(channel, over)
    void runCommand(connection, { channel, argv, wishes, gone })
  }
  session.on('shell', (accept) => start(accept, SHELL))
  session.on('exec', (accept, reject, info) =>
    // No program can be given it.
    info.command.includes('\0') ? reject?.() : start(accept, command(info.command)),
  )
  session.on('subsystem', (accept, reject, { name }) => (name === 'sftp' ? start(accept, SFTP) : reject?.()))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function takeWishes(session: Session, wishes: Wishes): void {
  session.on('env', (accept, reject, { key, val }) => {
    const allowed = isVariable(key, val) && Object.keys(wishes.env).length < MAX_VARIABLES
    if (allowed) wishes.env[key] = val
    ;(allowed ? accept : reject)?.()
  })
  session.on('pty', (accept, _reject, { cols, rows, term }) => {
    wishes.tty = { cols: sizeOf(cols, 80), rows: sizeOf(rows, 24) }
    if (/^[\w.+-]{1,64}$/.test(term)) wishes.env.TERM = term
    accept?.()
  })
  session.on('window-change', (accept, _reject, { cols, rows }) => {
    if (wishes.tty !== null) {
      wishes.tty = { cols: sizeOf(cols, 80), rows: sizeOf(rows, 24) }
      wishes.resize?.(wishes.tty.cols, wishes.tty.rows)
    }
    accept?.()
  })
  session.on('signal', (accept, _reject, { name }) => {
    wishes.signal?.(name)
    accept?.()
  })
}

/** What the server would refuse is dropped here, because a variable too many is no reason to have no shell. */
function isVariable(name: string, value: string): boolean {
  return (
    /^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name) &&
    !name.startsWith('CAISSON_') &&
    value.length <= MAX_VALUE &&
    !value.includes('\0')
  )
}

/** Clients without a terminal of their own say 0. */
const sizeOf = (asked: number, otherwise: number): number =>
  asked >= 1 && asked <= 65_535 ? asked : otherwise
