import type { NetworkAsked, NetworkState } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'
import { UsageError } from '../../failure.ts'
import { allowOptions } from '../../learned.ts'
import { type NetworkFlags, networkOf, withNetworkOptions } from '../../network-options.ts'
import { summary } from '../../network-text.ts'
import { note, printJson, printLine } from '../../stdio.ts'
import { bytes, facts } from '../../table.ts'

const SET_HELP = `
What is given replaces all that was in force. Open connections are judged anew at their next packet.

Examples:
  caisson network set work --network                       the public internet
  caisson network set work --allow github.com --allow github.com:22
  caisson network set work --network --deny '*.example.com' --allow www.example.com
  caisson network set work --learn --max-connections 100
  caisson network set work --none                          nothing`

/** `show`, `set` and `learned`. */
export function rules(): Command[] {
  return [showCommand(), setCommand(), learnedCommand()]
}

function showCommand(): Command {
  const show = new Command('show')
    .aliases(['get', 'info'])
    .description('the rules in force, its addresses, and what it has sent and received')
    .argument('<sandbox>', 'id or name')
    .addHelpText('after', '\nExamples:\n  caisson network show work\n  caisson network show work --json')
  return withConnection(show).action(async (id: string, flags: CommonFlags) =>
    print(await connect(flags).call('getNetwork', { id }), flags),
  )
}

type SetFlags = CommonFlags & NetworkFlags & { none?: boolean }

function setCommand(): Command {
  const set = new Command('set').description('replace the rules of a running sandbox')
  withNetworkOptions(set.argument('<sandbox>', 'id or name')).option('--none', 'the same as --no-network')
  return withConnection(set.addHelpText('after', SET_HELP)).action(async (id: string, flags: SetFlags) =>
    print(await connect(flags).call('setNetwork', { id, network: asked(flags) }), flags),
  )
}

function asked(flags: SetFlags): NetworkAsked {
  if (flags.none && flags.network) throw new UsageError('--none and --network contradict each other.')
  const network = networkOf(flags.none ? { ...flags, network: false } : flags)
  if (network !== undefined) return network
  throw new UsageError('What may it reach? Give --network, --allow, --deny, --learn or --none.')
}

function learnedCommand(): Command {
  const learned = new Command('learned')
    .description('the shortest list of --allow that lets pass what it has used')
    .argument('<sandbox>', 'id or name')
    .addHelpText(
      'after',
      '\nExamples:\n  caisson network learned work\n  caisson run $(caisson network learned work) -- make test',
    )
  return withConnection(learned).action(async (id: string, flags: CommonFlags) => {
    const { learned } = await connect(flags).call('getNetwork', { id })
    if (flags.json) return printJson({ learned })
    if (learned.length === 0) return note('it has used nothing that a list could name')
    await printLine(allowOptions(learned))
  })
}

const print = (state: NetworkState, flags: CommonFlags): Promise<void> =>
  flags.json ? printJson(state) : printLine(describe(state))

function describe({ network, addresses, uploadedBytes, downloadedBytes, learned }: NetworkState): string {
  return facts([
    ['network', summary(network)],
    ['allow', network.allow.join(' ')],
    ['deny', network.deny.join(' ')],
    ['upload', rate(network.uploadBytesPerSecond)],
    ['download', rate(network.downloadBytesPerSecond)],
    ['connections', network.connections === null ? null : `at most ${network.connections} at once`],
    ['addresses', addresses.join(' ')],
    ['sent', bytes(uploadedBytes)],
    ['received', bytes(downloadedBytes)],
    ['learned', allowOptions(learned)],
  ])
}

const rate = (limit: number | null): string | null =>
  limit === null ? null : `at most ${bytes(limit)} a second`
