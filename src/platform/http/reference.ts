import { router } from './router.ts'

/** The page that shows `/openapi.json`; its one script is served by ourselves. */
const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Latchkey API</title><script type="module" src="/docs/rapidoc.js"></script></head>
<body><rapi-doc spec-url="/openapi.json" render-style="focused" show-header="false" allow-spec-url-load="false"
  allow-spec-file-load="false" load-fonts="false" theme="light" primary-color="#2563eb" schema-style="table"
  persist-auth="false" sort-tags="true"></rapi-doc></body>
</html>
`
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

/** Mounted at /docs: the browsable reference, without anything from elsewhere. */
export const referenceRoutes = (script: () => Promise<string>) =>
  router()
    .get('/', (c) => c.html(PAGE, 200, { 'content-security-policy': POLICY }))
    .get('/rapidoc.js', async (c) =>
      c.body(await script(), 200, {
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=86400',
      }),
    )
