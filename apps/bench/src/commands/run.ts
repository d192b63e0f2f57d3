/** Runs suites: rows into results.jsonl as they come, and the page at the end, however that comes. */
import { join } from "node:path"
import { print, say } from "@spikeroute/cli/terminal"
import { Effect, FileSystem } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { describeRun } from "../method/machine.ts"
import { layer, Recorder, record } from "../method/recorder.ts"
import { runSuite, type Settings, type Suite } from "../method/suite.ts"
import { pythonVersions } from "../peers/index.ts"
import { ResultsError } from "../report/read.ts"
import { writeReport } from "./report.ts"

/** How much less a quick run takes. */
const quickly = 0.1
/** What a suite is given at least of what it may take, however late it is. */
const leastShare = 0.3

export const run = (suites: ReadonlyArray<Suite>, options: Settings & { readonly out: string | undefined }) => {
  const { out, ...settings } = options
  const folder = out ?? `runs/bench-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`
  const file = join(folder, "results.jsonl")
  const measured = Effect.gen(function* () {
    const began = performance.now()
    const command = ["bun run bench", ...process.argv.slice(2)].join(" ")
    yield* record(describeRun(command, yield* pythonVersions(settings.python)))
    const elapsed = () => (performance.now() - began) / 1000
    const secondsOf = (some: ReadonlyArray<Suite>) =>
      some.reduce((sum, { seconds }) => sum + seconds * (settings.quick ? quickly : 1), 0)
    const all = secondsOf(suites)
    /** Suites that took longer than they may take from those after them. */
    const runOne = (suite: Suite, i: number) =>
      Effect.suspend(() => {
        const done = elapsed()
        const ahead = secondsOf(suites.slice(i))
        const share = Math.min(1, Math.max(leastShare, (all - done) / ahead))
        return runSuite(suite, settings, share * secondsOf([suite]), { done, total: done + share * ahead })
      })
    const end = (whole: boolean) =>
      Effect.gen(function* () {
        yield* record({ kind: "end", seconds: elapsed(), whole })
        const rows = (yield* Recorder).rows()
        for (const row of rows) if (row.kind === "absent") yield* say(`${row.subject} is absent: ${row.reason}`)
        const page = yield* writeReport(rows, folder)
        yield* print(`\n${whole ? "" : "stopped early; what was measured is in "}${file}\n${page}`)
      })
    yield* Effect.forEach(suites, runOne, { discard: true }).pipe(Effect.onInterrupt(() => Effect.ignore(end(false))))
    yield* end(true)
  }).pipe(Effect.provide([layer(file), FetchHttpClient.layer]))
  // A run is one file: another one is not added to it.
  return Effect.gen(function* () {
    if (yield* (yield* FileSystem.FileSystem).exists(file))
      return yield* new ResultsError({ file, reason: "it holds a run already: name another folder as --out" })
    return yield* measured
  })
}
