import { Errno } from './errno.ts'

export interface MemoryUser {
  name: string
  uid: number
  home: string
}

const ROOT: MemoryUser = { name: 'root', uid: 0, home: '/root' }
export const USERS: readonly MemoryUser[] = [ROOT, { name: 'agent', uid: 1000, home: '/home/agent' }]

/** By `name`, `uid`, `name:group` or `uid:gid`; the group is not used. @throws Errno EINVAL */
export function findUser(text: string | undefined): MemoryUser {
  if (text === undefined) return ROOT
  const name = text.split(':')[0]
  const user = USERS.find((known) => known.name === name || String(known.uid) === name)
  if (user === undefined) throw new Errno('EINVAL', `user ${text}`)
  return user
}

export function userName(uid: number): string | undefined {
  return USERS.find((known) => known.uid === uid)?.name
}
