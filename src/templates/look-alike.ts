import { distance } from '../platform/nearest.ts'

/** Letters of other scripts that look like Latin ones (after Unicode Technical Standard 39, the common part). */
const CONFUSABLES: Record<string, string> = {
  ...{
    а: 'a',
    в: 'b',
    с: 'c',
    ԁ: 'd',
    е: 'e',
    ё: 'e',
    ғ: 'f',
    ԍ: 'g',
    һ: 'h',
    н: 'h',
    і: 'i',
    ї: 'i',
    ј: 'j',
  },
  ...{
    к: 'k',
    ӏ: 'l',
    м: 'm',
    п: 'n',
    о: 'o',
    р: 'p',
    ԛ: 'q',
    г: 'r',
    ѕ: 's',
    т: 't',
    у: 'y',
    ү: 'y',
    ѵ: 'v',
  },
  ...{
    ԝ: 'w',
    х: 'x',
    ҳ: 'x',
    ь: 'b',
    α: 'a',
    β: 'b',
    γ: 'y',
    δ: 'd',
    ε: 'e',
    ζ: 'z',
    η: 'n',
    ι: 'i',
    κ: 'k',
  },
  ...{
    μ: 'u',
    ν: 'v',
    ο: 'o',
    ρ: 'p',
    σ: 'o',
    ς: 's',
    τ: 't',
    υ: 'u',
    χ: 'x',
    ω: 'w',
    ɑ: 'a',
    ɡ: 'g',
    ı: 'i',
  },
  ...{
    ł: 'l',
    ø: 'o',
    đ: 'd',
    ħ: 'h',
    ŧ: 't',
    æ: 'ae',
    œ: 'oe',
    ß: 'ss',
    ƅ: 'b',
    ɩ: 'i',
    ʟ: 'l',
    ᴏ: 'o',
  },
}
/** Digits and signs that are taken for letters, and letters that are taken for each other. */
const FOLDED: Record<string, string> = {
  ...{
    '0': 'o',
    '1': 'l',
    '2': 'z',
    '3': 'e',
    '4': 'a',
    '5': 's',
    '6': 'b',
    '7': 't',
    '8': 'b',
    '9': 'g',
  },
  ...{ i: 'l', '|': 'l', '!': 'l', $: 's', '@': 'a' },
}
/** Below so many characters, names of one sort differ by one character too often for that to say anything. */
const CHARACTERS_MIN = 4
/** How many characters folding may take from a name or add to it. */
export const FOLDED_CHARACTERS_MAX = 12

/**
 * What a handle or a name looks like at a glance: lower case, without accents, signs and blanks, letters and digits that look
 * alike folded into one.
 */
export const skeletonOf = (text: string): string => {
  const plain = text.normalize('NFKD').toLowerCase()
  const latin = [...plain].map((character) => CONFUSABLES[character] ?? character).join('')
  const joined = latin.replaceAll('rn', 'm').replaceAll('vv', 'w').replaceAll('cl', 'd')
  return [...joined]
    .map((character) => FOLDED[character] ?? character)
    .filter((character) => /[\p{L}\p{N}]/u.test(character))
    .join('')
}

/** The first of these that could be taken for a text: equal at a glance, or one character apart. */
export const findLookAlike = (text: string, known: Iterable<string>): string | undefined => {
  const skeleton = skeletonOf(text)
  const most = skeleton.length < CHARACTERS_MIN ? 0 : 1
  for (const other of known)
    if (skeleton !== '' && distance(skeleton, skeletonOf(other), most) <= most) return other
  return undefined
}
