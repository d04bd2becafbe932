import { Sandbox as Moru } from '@moru-ai/core'
import { Sandbox } from 'e2b'
import { Sandbox as Old } from 'e2b-2.45'

/** Every client that there is, under the type of the newest: where they differ, a test says for which it is. */
export const CLIENTS = {
  'e2b 2.51': Sandbox,
  'e2b 2.45': Old as unknown as typeof Sandbox,
  Moru: Moru as unknown as typeof Sandbox,
}
