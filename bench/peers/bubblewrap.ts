import type { Timer } from '../timer.ts'
import type { Peer } from './peer.ts'

/** All namespaces, but no seccomp filter and no limits: what a sandbox costs at the least. */
export const bubblewrapPeer = (root: string, timer: Timer): Peer => ({
  name: 'bwrap (no seccomp, no limits)',
  run: () =>
    timer.run({
      argv: [
        'bwrap',
        '--unshare-all',
        '--die-with-parent',
        '--bind',
        root,
        '/',
        '--proc',
        '/proc',
        '--dev',
        '/dev',
        'true',
      ],
    }),
})
