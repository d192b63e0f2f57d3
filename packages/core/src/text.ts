/** Text for messages: one line, whatever the origin of the values in it. */

const longest = 60
const longestLine = 2000

/** Control and format characters, surrogate halves, line and paragraph separators. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

const escaped = (text: string): string =>
  text.replace(unseen, (character) => `\\u${character.codePointAt(0)?.toString(16).padStart(4, "0")}`)

/**
 * A message that may contain untrusted text, on one line: line breaks become spaces, other control characters are escaped, and it
 * is cut to about 2,000 characters.
 */
export const line = (message: string): string =>
  clip(escaped(clip(String(message), longestLine).replace(/\s*[\r\n]+\s*/g, " ")), longestLine)

/** A name for a message: unquoted if it has at most 60 characters, all of them letters, digits or `_ . : / @ + -`; else quoted. */
export const named = (name: string): string =>
  typeof name === "string" && /^[\p{L}\p{N}_.:/@+-]{1,60}$/u.test(name) ? name : quote(name)

/**
 * An untrusted value for a message: strings are quoted, control characters are escaped, and it is cut to about 60 characters.
 *
 * @example quote("a\u001b[31mb\nc") // "a\u001b[31mb\nc" in JSON's escapes, on one line
 */
export const quote = (value: unknown): string =>
  // JSON escapes some control characters, not all.
  escaped(typeof value === "string" ? JSON.stringify(clip(value)) : clip(plain(value)))

const clip = (text: string, most = longest): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

const plain = (value: unknown): string => {
  if (typeof value === "function") return "a function"
  if (typeof value === "bigint") return `${value}n`
  if (ArrayBuffer.isView(value))
    return `${value.constructor.name} of ${(value as Float32Array).length ?? value.byteLength}`
  if (typeof value === "object" && value !== null) {
    const kind = Object.prototype.toString.call(value).slice(8, -1)
    if (kind !== "Object" && kind !== "Array") return kind
    try {
      return JSON.stringify(value) ?? "an object"
    } catch {
      return "an object"
    }
  }
  return String(value)
}

/** The first fault of a record of options, for code without Schemas; `undefined` if every option is known. */
export const optionFault = (given: unknown, known: ReadonlyArray<string>): string | undefined => {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    return `options are ${quote(given)}; they must be an object`
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  return unknown === undefined ? undefined : `there is no option ${quote(unknown)}; the options are ${known.join(", ")}`
}

/** The Levenshtein distance: the least number of insertions, deletions and substitutions that turn one string into the other. */
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
 * The candidate most similar to `name`, ignoring case: the smallest Levenshtein distance, the earlier of two equally similar ones.
 * `undefined` if more than a third of the letters (at least two) would have to change.
 *
 * @example
 * nearest("cifar-10", ["mnist", "cifar10"]) // "cifar10"
 */
export const nearest = (name: string, candidates: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    const changes = distance(name.toLowerCase(), candidate.toLowerCase())
    if (changes < least && changes < name.length) {
      best = candidate
      least = changes
    }
  }
  return best
}

/** Formats a number of bytes with decimal units: 1,234 → "1.23 KB". */
export const formatBytes = (bytes: number): string => {
  const units = ["B", "KB", "MB", "GB", "TB"]
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`
}
