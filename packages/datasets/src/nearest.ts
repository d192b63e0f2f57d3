/** "Did you mean …?" */

/** The Levenshtein distance: how many letters must be put in, taken out or replaced to make one text the other. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

/**
 * The candidate that `name` is most likely a slip of, whatever its case: the nearest by Levenshtein distance, the
 * earlier of two equally near ones, and none where more than a third of the letters (or two) would have to change.
 *
 * @example
 * nearest("cifar-10", ["mnist", "cifar10"]) // "cifar10"
 */
export const nearest = (name: string, candidates: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    const changes = distance(name.toLowerCase(), candidate.toLowerCase())
    if (changes < least) {
      best = candidate
      least = changes
    }
  }
  return best
}
