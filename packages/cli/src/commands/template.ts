import { Command } from 'commander'
import { templateBuilds } from './template/builds.ts'
import { templateRecords } from './template/records.ts'

const HELP = `
A template is what sandboxes are made of that was built in steps, with a program that runs from their start: "caisson create
--template <name>". It is referred to by id, by name, or by "name:tag".

Examples:
  caisson template build .                         from caisson-template.yaml, or a Dockerfile
  caisson create --template web
  caisson template tag web stable --build latest
  caisson template list
  caisson template logs bld_abc123 --follow
  caisson template delete web --confirm`

export function build(): Command {
  const command = new Command('template').description('What sandboxes are made of, built in steps.')
  for (const sub of [...templateBuilds(), ...templateRecords()]) command.addCommand(sub)
  return command.addHelpText('after', HELP)
}
