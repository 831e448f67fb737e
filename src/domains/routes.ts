import type { ResolveTxt } from '../platform/dns.ts'
import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import { limited, perOrganization, perSubject } from '../platform/http/rate-limit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  ClaimDomain,
  Domain,
  JoinByDomain,
  Joined,
  ListDomains,
  OneDomain,
  PatchDomain,
  Suggestion,
} from './schema.ts'
import {
  claimDomain,
  deleteDomain,
  getDomain,
  joinByDomain,
  listDomains,
  listSuggestions,
  patchDomain,
  verifyDomain,
} from './service.ts'

/** Mounted at /v1/domains. */
export const domainsRoutes = router()
  .get(
    '/suggestions',
    permitEveryone('everybody sees what their own verified address opens'),
    answers(200, pageOf(Suggestion), "List organizations of the caller's e-mail domain"),
    async (c) => c.json(await listSuggestions(c.var.context)),
  )
  .post(
    '/join',
    permitEveryone('the verified address says enough'),
    answers(200, Joined, 'Join an organization by the domain of one’s address'),
    validate('json', JoinByDomain),
    limited('domain-join', { quota: 10, windowSeconds: 60, of: perSubject }),
    async (c) => c.json(await joinByDomain(c.var.context, c.req.valid('json'))),
  )

/** Mounted at /v1/organizations/:organization/domains. */
export const domainRoutes = (resolveTxt: ResolveTxt) =>
  router()
    .get(
      '/',
      permit('org:read'),
      answers(200, pageOf(Domain), 'List domains'),
      validate('query', ListDomains),
      async (c) => c.json(await listDomains(c.var.context, c.req.valid('query'))),
    )
    .post(
      '/',
      permit('org:security:update'),
      answers(201, Domain, 'Claim a domain of e-mail addresses'),
      validate('json', ClaimDomain),
      async (c) => {
        const domain = await claimDomain(c.var.context, c.req.valid('json'))
        return c.json(domain, 201, etag(domain))
      },
    )
    .get(
      '/:domain',
      permit('org:read'),
      answers(200, Domain, 'Read a domain'),
      validate('param', OneDomain),
      async (c) => {
        const domain = await getDomain(c.var.context, c.req.valid('param'))
        return c.json(domain, 200, etag(domain))
      },
    )
    .patch(
      '/:domain',
      permit('org:security:update'),
      answers(200, Domain, 'Choose how people of a domain come in'),
      validate('param', OneDomain),
      validate('json', PatchDomain),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        const domain = await patchDomain(c.var.context, input)
        return c.json(domain, 200, etag(domain))
      },
    )
    .post(
      '/:domain/verify',
      permit('org:security:update'),
      answers(200, Domain, 'Look for the TXT record that proves the claim'),
      validate('param', OneDomain),
      limited('domain-verify', { quota: 10, windowSeconds: 60, of: perOrganization }),
      async (c) => {
        const domain = await verifyDomain(c.var.context, resolveTxt, c.req.valid('param'))
        return c.json(domain, 200, etag(domain))
      },
    )
    .delete(
      '/:domain',
      permit('org:security:update'),
      answers(204, null, 'Give a domain up'),
      validate('param', OneDomain),
      async (c) => {
        await deleteDomain(c.var.context, c.req.valid('param'))
        return c.body(null, 204)
      },
    )
