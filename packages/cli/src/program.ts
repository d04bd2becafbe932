import { Command, CommanderError } from 'commander'
import { EXIT, reportFailure, UsageError } from './failure.ts'
import { endQuietly } from './stdio.ts'
import { findVerb, stripPrefix, VERBS } from './verbs.ts'

const EXAMPLES = `
Examples:
  caisson run -- python3 -c 'print(6*7)'        one command in a sandbox of its own
  caisson create --name work --memory 1Gi       a sandbox that stays
  caisson exec work -- sh -c 'make test'        a command in it; its exit code is yours
  caisson list --json | jq '.sandboxes[].id'    every verb speaks JSON

"caisson <verb> --help" explains a verb. With no server running, the first verb that needs one starts a local one.`

/** Parses the line, runs the verb, and ends the process with its exit code. */
export async function main(argv: string[]): Promise<void> {
  endQuietly()
  const words = stripPrefix(argv)
  const verb = findVerb(words[0])
  const { line, tail } = verb?.takesCommand ? splitTail(words) : { line: words, tail: undefined }
  const json = line.includes('--json')
  try {
    const program = rootCommand()
    if (json) program.configureOutput({ writeErr: () => {} })
    for (const known of VERBS) {
      const command =
        known === verb
          ? (await known.load()).build(tail)
          : new Command(known.name).allowUnknownOption().allowExcessArguments()
      for (const alias of known.aliases ?? []) command.alias(alias)
      inherit(command, program)
      program.addCommand(command.summary(known.summary))
    }
    if (line.length === 0) program.outputHelp()
    else await program.parseAsync(line, { from: 'user' })
    process.exitCode ??= EXIT.ok
  } catch (error) {
    process.exitCode = error instanceof CommanderError ? reportUsage(error, json) : reportFailure(error, json)
  }
  // Standard input may still be open, and must not keep the process.
  await drained()
  process.exit()
}

function rootCommand(): Command {
  return new Command('caisson')
    .description('Isolated Linux sandboxes for AI agents, on your own machine.')
    .usage('<verb> [options]')
    .option('-V, --version', 'print the version')
    .addHelpText('after', EXAMPLES)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError('("caisson --help" lists the verbs, "caisson <verb> --help" their options)')
    .exitOverride()
}

/** Commands that are built apart take their manners from the root, however deep they stand. */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent)
  for (const sub of command.commands) inherit(sub, command)
}

function splitTail(words: string[]): { line: string[]; tail: string[] | undefined } {
  const cut = words.indexOf('--')
  return cut === -1
    ? { line: words, tail: undefined }
    : { line: words.slice(0, cut), tail: words.slice(cut + 1) }
}

/** Asking for help is no failure; everything else that the parser throws is wrong usage, which it has said already. */
function reportUsage(error: CommanderError, json: boolean): number {
  if (error.exitCode === 0) return EXIT.ok
  return json ? reportFailure(new UsageError(error.message.replace(/^error: /, '')), json) : EXIT.usage
}

async function drained(): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    if (stream.writableLength > 0 && !stream.destroyed)
      await new Promise<void>((resolve) => {
        stream.once('close', resolve)
        stream.write('', () => resolve())
      })
}
