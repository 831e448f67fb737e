/** Waits until something is so; fails when it does not become so in time. */
export const until = async (
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> => {
  const deadline = Date.now() + timeoutMs
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`It did not become so in ${timeoutMs} ms.`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
