/** Many measurements of one thing, as sums: how many, their sum, and the sum of their squares. */
export type Sums = { count: number; sum: number; squares: number }

export const meanOf = ({ count, sum }: Sums): number => sum / count

/** The variance of a sample (n - 1 in the denominator); rounding may not make it negative. */
export const varianceOf = ({ count, sum, squares }: Sums): number =>
  Math.max(0, (squares - (sum * sum) / count) / (count - 1))

const STIRLING_MIN = 10

/** The logarithm of the gamma function for positive numbers: Stirling's series (DLMF 5.11.1), raised to where it is precise. */
const logGamma = (x: number): number => {
  if (x < STIRLING_MIN) return logGamma(x + 1) - Math.log(x)
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5) - 1 / (1680 * x ** 7)
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series
}

const STEPS_MAX = 300
const PRECISE_ENOUGH = 1e-14
const TINY = 1e-300
const awayFromZero = (value: number) => (Math.abs(value) < TINY ? TINY : value)

/** The continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated as Lentz (1976) does. */
const betaFraction = (a: number, b: number, x: number): number => {
  let c = 1
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m <= STEPS_MAX; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    let change = 1
    for (const term of [even, odd]) {
      d = 1 / awayFromZero(1 + term * d)
      c = awayFromZero(1 + term / c)
      change = c * d
      fraction *= change
    }
    if (Math.abs(change - 1) < PRECISE_ENOUGH) break
  }
  return fraction
}

/** The regularized incomplete beta function I_x(a, b). */
export const incompleteBeta = (a: number, b: number, x: number): number => {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const logFront =
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)
  const front = Math.exp(logFront)
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(a, b, x)) / a
    : 1 - (front * betaFraction(b, a, 1 - x)) / b
}

/**
 * Welch's test of two means whose variances may differ (Biometrika 34, 1947): t, its degrees of freedom, and how likely a
 * difference this large is by chance, in either direction.
 */
export const welch = (before: Sums, after: Sums): { t: number; freedom: number; p: number } => {
  const [u, v] = [varianceOf(before) / before.count, varianceOf(after) / after.count]
  const difference = meanOf(after) - meanOf(before)
  if (u + v === 0)
    return { t: difference === 0 ? 0 : Infinity, freedom: Infinity, p: difference === 0 ? 1 : 0 }
  const t = difference / Math.sqrt(u + v)
  const freedom = (u + v) ** 2 / (u ** 2 / (before.count - 1) + v ** 2 / (after.count - 1))
  return { t, freedom, p: incompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t)) }
}
