import type { PreparedMarket } from '../support/market.ts'

type Given = { market: PreparedMarket }
type Sample = (given: Given) => [what: string, body?: unknown]

const MODERATION = '/v1/marketplace/moderation'
const REASON = { reasonCode: 'broken', note: 'It does not start.' }

/** One request that changes something, per route by which moderators act. */
export const MODERATION_CHANGES: Record<string, Sample> = {
  [`POST ${MODERATION}/cases/:case/approve`]: ({ market: { cases } }) => [
    `POST ${MODERATION}/cases/${cases[0].caseId}/approve`,
    { integrity: cases[0].integrity },
  ],
  [`POST ${MODERATION}/cases/:case/reject`]: ({ market: { cases } }) => [
    `POST ${MODERATION}/cases/${cases[1].caseId}/reject`,
    REASON,
  ],
  [`POST ${MODERATION}/templates/:template/take-down`]: ({ market }) => [
    `POST ${MODERATION}/templates/${market.free}/take-down`,
    REASON,
  ],
  [`POST ${MODERATION}/templates/:template/restore`]: ({ market }) => [
    `POST ${MODERATION}/templates/${market.down}/restore`,
    {},
  ],
  [`POST ${MODERATION}/templates/:template/official`]: ({ market }) => [
    `POST ${MODERATION}/templates/${market.listed}/official`,
    { official: true },
  ],
  [`POST ${MODERATION}/versions/:version/block`]: ({ market }) => [
    `POST ${MODERATION}/versions/${market.versionId}/block`,
    REASON,
  ],
  [`POST ${MODERATION}/versions/:version/unblock`]: ({ market }) => [
    `POST ${MODERATION}/versions/${market.blocked}/unblock`,
    {},
  ],
  ...Object.fromEntries(
    ['ban', 'unban', 'verify'].map((what): [string, Sample] => [
      `POST ${MODERATION}/publishers/:organization/${what}`,
      ({ market: { publisher } }) => [
        `POST ${MODERATION}/publishers/${publisher.slug}/${what}`,
        what === 'ban' ? REASON : {},
      ],
    ]),
  ),
  [`POST ${MODERATION}/ratings/:template/:subject/hide`]: ({ market }) => [
    `POST ${MODERATION}/ratings/${market.listed}/user:zoe/hide`,
    { reasonCode: 'spam' },
  ],
  [`POST ${MODERATION}/ratings/:template/:subject/show`]: ({ market }) => [
    `POST ${MODERATION}/ratings/${market.listed}/user:zoe/show`,
  ],
  [`PUT ${MODERATION}/categories/:category`]: () => [
    `PUT ${MODERATION}/categories/games`,
    { name: 'Games' },
  ],
  [`DELETE ${MODERATION}/categories/:category`]: () => [
    `DELETE ${MODERATION}/categories/games?replacement=other`,
  ],
}
