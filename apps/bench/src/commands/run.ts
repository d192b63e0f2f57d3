/** Runs suites: appends rows to results.jsonl as they are measured, and writes the report at the end, also if interrupted. */
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

/** Time of a quick run relative to a full one. */
const quickly = 0.1
/** Minimum share of its time that a suite gets, however late the run is. */
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
    /** A suite that takes too long shortens those after it. */
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
        yield* print(`\n${whole ? "" : "stopped early; results so far are in "}${file}\n${page}`)
      })
    yield* Effect.forEach(suites, runOne, { discard: true }).pipe(Effect.onInterrupt(() => Effect.ignore(end(false))))
    yield* end(true)
  }).pipe(Effect.provide([layer(file), FetchHttpClient.layer]))
  // Each run has its own file: never append to an existing one.
  return Effect.gen(function* () {
    if (yield* (yield* FileSystem.FileSystem).exists(file))
      return yield* new ResultsError({ file, reason: "it already contains a run; choose another folder with --out" })
    return yield* measured
  })
}
