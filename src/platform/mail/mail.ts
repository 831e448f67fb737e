import { html, raw } from 'hono/html'

/** A letter to one person. */
export type Mail = {
  /** Stable over repetitions of the same letter, so that a mailbox can tell a repetition. */
  id: string
  to: string
  subject: string
  text: string
  html: string
}

/** Hands a letter to whatever delivers it. @throws when it was not taken; a Fatal when it never will be */
export type SendMail = (mail: Mail) => Promise<void>

/** How an organization's letters look. */
export type Branding = { name: string; primaryColor: string }

export type Letter = {
  id: string
  to: string
  subject: string
  branding: Branding
  paragraphs: readonly string[]
  /** The one thing to do. */
  action?: { label: string; url: string }
  footer: string
}

/** On one line: a header has no second one. */
const onOneLine = (text: string) =>
  text
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, 200)

const COLOR = /^#[0-9a-f]{6}$/i

/** Writes a letter as text and as HTML. Everything in it is escaped; nothing is fetched when it is opened. */
export const writeMail = async (letter: Letter): Promise<Mail> => {
  const { id, to, branding, paragraphs, action, footer } = letter
  const color = COLOR.test(branding.primaryColor) ? branding.primaryColor : '#3B82F6'
  const text = [...paragraphs, ...(action ? [`${action.label}: ${action.url}`] : []), '--', footer]
  const page = await html`<!doctype html>
<html lang="en"><body style="font-family:system-ui,sans-serif;max-width:36rem;margin:2rem auto;color:#111">
<p style="font-weight:600;color:${color}">${branding.name}</p>
${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
${action ? html`<p><a href="${action.url}" style="background:${color};color:#fff;padding:.6rem 1rem;border-radius:.4rem;text-decoration:none">${action.label}</a></p><p style="font-size:.85rem;word-break:break-all">${action.url}</p>` : raw('')}
<p style="font-size:.85rem;color:#555">${footer}</p>
</body></html>`
  return {
    id,
    to,
    subject: onOneLine(letter.subject),
    text: `${text.join('\n\n')}\n`,
    html: `${page}`,
  }
}
