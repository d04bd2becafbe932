import type { CreateOptions, NetworkAsked } from 'caisson'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { UsageError } from './failure.ts'
import { defined, gather, wholeNumber } from './options.ts'

/** What the options say of a network, as the parser gives it. */
export interface NetworkFlags {
  /** `--network` or `--no-network`. */
  network?: boolean
  allow?: string[]
  deny?: string[]
  learn?: boolean
  uploadRate?: string
  downloadRate?: string
  maxConnections?: number
}

export function withNetworkOptions(command: Command): Command {
  return command
    .option('--network', 'let it reach the public internet')
    .option('--no-network', 'let it reach nothing (the default)')
    .option(
      '--allow <entry>',
      'let it reach this and nothing else: address, range, name or *.name, name:port (repeatable)',
      gather,
    )
    .option('--deny <entry>', 'let it reach all but this; with --allow, an exception (repeatable)', gather)
    .option('--learn', 'let it reach the public internet, and remember what it used')
    .option('--upload-rate <size>', 'bytes a second that it may send, such as 10Mi')
    .option('--download-rate <size>', 'bytes a second that it may receive')
    .option('--max-connections <n>', 'connections open at once', wholeNumber)
}

/**
 * The network that the options ask for; undefined: they say nothing of one.
 *
 * @throws UsageError when they contradict each other
 */
export function networkOf(flags: NetworkFlags): NetworkAsked | undefined {
  const { network, allow, deny, learn } = flags
  const limits = limitsOf(flags)
  const limited = Object.keys(limits).length > 0
  const open = network === true || learn === true || allow !== undefined || deny !== undefined
  if (network === false && (open || limited))
    throw new UsageError('Without a network there is nothing to allow, deny, learn or limit.')
  if (!open && limited)
    throw new UsageError('A limit opens nothing. Give --network, --allow, --deny or --learn as well.')
  if (!open) return network
  if ((network || learn) && allow !== undefined && deny === undefined)
    throw new UsageError(
      `${network ? '--network' : '--learn'} opens the public internet and --allow only what it names. Choose one, or add the --deny from which --allow excepts.`,
    )
  // With all three, the internet is open but for --deny, from which --allow excepts.
  const rules = { ...(network && allow !== undefined && { default: 'allow' as const }), allow, deny, learn }
  const asked = defined({ ...rules, ...limits })
  return Object.keys(asked).length === 0 ? true : asked
}

const limitsOf = ({ uploadRate, downloadRate, maxConnections }: NetworkFlags) =>
  defined({ upload: uploadRate, download: downloadRate, connections: maxConnections })

/** What the options say of exposed ports. */
export interface PortFlags {
  port?: number[]
  publicPort?: number[]
  allPorts?: 'public' | 'private'
  portHost?: string
}

export function withPortOptions(command: Command): Command {
  return (
    command
      .option('--port <port>', 'expose a port to whoever has a token (repeatable)', gatherPort)
      .option('--public-port <port>', 'expose a port to whoever has its address (repeatable)', gatherPort)
      .addOption(
        new Option('--all-ports <access>', 'expose every other port as well').choices(['public', 'private']),
      )
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how it is written.
      .option('--port-host <host>', 'Host that programs behind ports see; "${PORT}" is the port')
  )
}

/** The ports that the options ask for; undefined: none. */
export function portsOf({ port = [], publicPort = [] }: PortFlags): CreateOptions['ports'] {
  const twice = port.find((each) => publicPort.includes(each))
  if (twice !== undefined) throw new UsageError(`Port ${twice} is to be private and public. Choose one.`)
  const all = [...new Set(port), ...[...new Set(publicPort)].map((each) => publicly(each))]
  return all.length === 0 ? undefined : all
}

const publicly = (port: number) => ({ port, access: 'public' as const })

/** A port that can be exposed. */
export function portNumber(text: string): number {
  const port = Number(text)
  if (!/^[1-9]\d{3,4}$/.test(text) || port < 1024 || port > 65_535)
    throw new InvalidArgumentError('Write a port from 1024 to 65535.')
  return port
}

const gatherPort = (text: string, before: number[] = []): number[] => [...before, portNumber(text)]
