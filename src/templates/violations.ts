import type { Violations } from '../platform/db/violation.ts'
import { Problem } from '../platform/problem.ts'

/** What the database refuses about templates, whatever route asked. */
export const templateViolations: Violations = {
  publishers_handle_unique: ['conflict', 'handle-taken', 'Another publisher has it.', '/handle'],
  publishers_domain_claimed: [
    'unprocessable',
    'domain-not-claimed',
    'The organization must claim the domain first (POST …/domains).',
    '/domain',
  ],
  templates_slug_unique: [
    'conflict',
    'template-exists',
    'Another template of the organization has it.',
    '/slug',
  ],
  templates_outside_need_a_publisher: [
    'unprocessable',
    'publisher-required',
    'Others see templates under a handle only: the organization needs one first (PUT …/publisher).',
    '/visibility',
  ],
  templates_listed_are_public: [
    'conflict',
    'template-listed',
    'What is listed is public; take it off the list first.',
  ],
  template_versions_number_unique: [
    'conflict',
    'version-exists',
    'This number was used already; a number is never free again.',
    '/version',
  ],
  moderation_cases_one_open_submission: [
    'conflict',
    'submission-open',
    'The version waits for a moderator already.',
  ],
  moderation_cases_one_open_appeal: [
    'conflict',
    'appeal-open',
    'An appeal against this removal waits for a moderator already.',
  ],
  moderation_cases_one_open_report: [
    'conflict',
    'report-open',
    'You told the moderators of it already; they will look at it.',
  ],
  // One state, two rules, told apart by what they raise.
  LK003: ({ message }) =>
    message === 'template-was-listed'
      ? new Problem(
          'conflict',
          'template-was-listed',
          'Others could have it: it can be taken off the list, deprecated and withdrawn, but it does not vanish.',
        )
      : new Problem(
          'conflict',
          'version-immutable',
          'From submission or publication on, a version stands as it is.',
        ),
  LK008: ['conflict', 'not-approved', 'No version of it was approved by a moderator.'],
  LK011: ['conflict', 'listing-is-moderated', 'This is for moderators to decide.'],
}
