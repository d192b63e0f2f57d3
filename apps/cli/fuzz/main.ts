/**
 * `bun run fuzz:files`: mutates files of every supported format at random. Each file must yield valid data or one typed, one-line error,
 * in bounded memory, without a crash, a hang or damage to files.
 *
 *     bun run fuzz:files [--count 1000] [--seed N] [--format NAME] [--file N --keep DIRECTORY]
 *
 * `--file` reads a single mutated file, by the number in a fault report; `--keep` stores it in a directory for inspection.
 */
import { parseArgs } from "node:util"
import { table } from "../src/terminal.ts"
import type { Format } from "./format.ts"
import { modules, run } from "./runner.ts"

const { values: flags } = parseArgs({
  options: {
    count: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    format: { type: "string" },
    file: { type: "string" },
    keep: { type: "string" },
  },
})
const seed = Number(flags.seed)
const from = Number(flags.file ?? 0)
const count = flags.file === undefined ? Number(flags.count) : from + 1

const rows: Array<ReadonlyArray<string>> = []
for (const module of modules) {
  const { formats } = (await import(module)) as { readonly formats: ReadonlyArray<Format> }
  for (const { name } of formats.filter((each) => flags.format === undefined || each.name === flags.format)) {
    const outcomes = await run({ module, formats: [name], seed, from, count, keep: flags.keep })
    const of = (wanted: string) => String(outcomes.filter(({ outcome }) => outcome === wanted).length)
    const most = (what: "milliseconds" | "growth") => Math.max(...outcomes.map((each) => each[what]))
    const cost = [`${most("milliseconds")} ms`, `${Math.ceil(most("growth") / 2 ** 20)} MB`]
    rows.push([name, String(outcomes.length), of("right"), of("error"), of("fault"), ...cost])
    for (const { number, outcome, message } of outcomes) {
      if (outcome === "fault")
        process.stderr.write(`bun run fuzz:files --seed ${seed} --format ${name} --file ${number}\n  ${message}\n`)
      else if (flags.file !== undefined) process.stdout.write(`${outcome}: ${message ?? ""}\n`)
    }
  }
}
process.stdout.write(
  `${table(["format", "files", "right", "errors", "faults", "slowest", "growth"], rows)}\nseed ${seed}\n`,
)
process.exitCode = rows.length === 0 || rows.some(([, , , , faults]) => faults !== "0") ? 1 : 0
