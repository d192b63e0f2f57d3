/**
 * Terminal output. Results go to standard output; progress and messages go to standard error. Progress bars are drawn only on a
 * terminal.
 */
import { line as oneLine } from "@spikeroute/core/text"
import { Effect, Logger } from "effect"

/** Whether to colour a stream: only on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb. */
const takesColor = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb"

const paint =
  (code: number, stream: NodeJS.WriteStream) =>
  (text: string): string =>
    takesColor(stream) ? `\x1b[${code}m${text}\x1b[0m` : text

export const bold = paint(1, process.stdout)
export const dim = paint(2, process.stdout)
const yellow = paint(33, process.stderr)
const cyan = paint(36, process.stderr)

/** A progress bar. */
export interface Bar {
  readonly label: string
  readonly done: number
  readonly total: number
  readonly detail: string
  /** Estimated remaining seconds, if known. */
  readonly secondsLeft?: number
}

const clearLine = "\r\x1b[2K"
let barShown = false

/** The rank of this process among those that train together. */
let rank = 0

/** Sets the rank. Only rank 0 writes messages and results; errors and warnings of the others are prefixed with their rank. */
export const speakAs = (own: number): void => {
  rank = own
}

/** Whether this process writes messages and results. */
export const speaks = (): boolean => rank === 0

const write = (text: string): void => {
  process.stderr.write(barShown ? `${clearLine}${text}` : text)
  barShown = false
}

/** 75 → "1:15" */
export const formatSeconds = (seconds: number): string => {
  const whole = Math.round(seconds)
  const parts = [Math.floor(whole / 60) % 60, whole % 60]
  const hours = Math.floor(whole / 3600)
  return hours > 0
    ? `${hours}:${parts.map((part) => String(part).padStart(2, "0")).join(":")}`
    : `${parts[0]}:${String(parts[1]).padStart(2, "0")}`
}

/** Draws the bar over the previous one; a no-op if standard error is not a terminal. */
export const showBar = ({ label, done, total, detail, secondsLeft }: Bar): Effect.Effect<void> =>
  Effect.sync(() => {
    if (process.stderr.isTTY !== true || !speaks()) return
    const columns = process.stderr.columns || 80
    const share = total === 0 ? 1 : done / total
    const left = secondsLeft === undefined ? "" : `  ${formatSeconds(secondsLeft)} left`
    const tail = `${String(Math.floor(100 * share)).padStart(3)} %  ${detail}${left}`
    const width = Math.max(8, Math.min(30, columns - label.length - tail.length - 4))
    const filled = Math.round(width * share)
    const line = `${label} ${"█".repeat(filled)}${"░".repeat(width - filled)} ${tail}`
    const fits = line.length < columns ? line : line.slice(0, columns - 1)
    process.stderr.write(`${clearLine}${fits.replace(/[█]+/, cyan)}`)
    barShown = true
  })

/** Writes a message to standard error. */
export const say = (line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (speaks()) write(`${oneLine(line)}\n`)
  })

/** Writes an error message to standard error, from any rank. */
export const complain = (line: string): Effect.Effect<void> =>
  Effect.sync(() => write(`${speaks() ? "" : `rank ${rank}: `}${oneLine(line)}\n`))

/** Writes a result to standard output. */
export const print = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!speaks()) return
    write("")
    process.stdout.write(`${text}\n`)
  })

/** Quotes a path for the shell. */
export const shellQuote = (path: string): string => {
  if (/^[\w@%+=:,./-]+$/.test(path)) return path
  const quoted = path.replace(/['\\]/g, "\\$&")
  return oneLine(path) === path ? `'${path.replaceAll("'", "'\\''")}'` : `$'${oneLine(quoted)}'`
}

/** Formats a fraction as a percentage: 0.9637 → "96.37 %". */
export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

/** Formats a table. Columns after the first are right-aligned. The first column may contain untrusted text, which is escaped. */
export const table = (header: ReadonlyArray<string>, given: ReadonlyArray<ReadonlyArray<string>>): string => {
  const rows = given.map(([first = "", ...others]) => [oneLine(first), ...others])
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)))
  const line = (cells: ReadonlyArray<string>) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ")
  return [dim(line(header)), ...rows.map(line)].join("\n")
}

/** Writes Effect's log as plain lines to standard error. */
export const logger = Logger.layer([
  Logger.make<unknown, void>(({ logLevel, message }) => {
    const text = oneLine((Array.isArray(message) ? message : [message]).map(String).join(" "))
    write(
      `${speaks() ? "" : `rank ${rank}: `}${logLevel === "Warn" ? `${yellow("warning:")} ` : logLevel === "Error" ? "error: " : ""}${text}\n`,
    )
  }),
])
