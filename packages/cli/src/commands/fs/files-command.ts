import { Files } from 'caisson'
import { Command } from 'commander'
import { type CommonFlags, connect, withConnection } from '../../connection.ts'

export type FileFlags = CommonFlags & { user?: string }

/** A verb on the files of a sandbox, which is its first argument. */
export function filesCommand(name: string, description: string): Command {
  const command = new Command(name).description(description).argument('<sandbox>', 'id or name')
  return withConnection(
    command.option('--user <name>', 'user in the sandbox whose rights count (default: agent)'),
  )
}

/** The files of a sandbox, and whose rights count, as the flags say. */
export const openFiles = (id: string, flags: FileFlags): { files: Files; user: { user?: string } } => ({
  files: new Files(connect(flags), id),
  user: flags.user === undefined ? {} : { user: flags.user },
})
