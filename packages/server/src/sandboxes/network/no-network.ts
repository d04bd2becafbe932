import type { Judgement, Policy } from '../../core/network/types.ts'

const REFUSED: Judgement = {
  allowed: false,
  rule: 'no network',
  message:
    'This sandbox has no network. "caisson network set" gives it one while it runs; at creation, `network` does.',
}

/** The policy of a sandbox without a network, and of one that has ended. */
export const NO_NETWORK: Policy = {
  packets: { allow4: [], allow6: [], named4: [], named6: [], byName: false },
  judgeName: () => REFUSED,
  portsOf: () => [],
  judgeAddress: () => REFUSED,
  judgePinned: () => REFUSED,
}
