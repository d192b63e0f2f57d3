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

export const run = (suites: ReadonlyArray<Suite>, options: Settings & { readonly out: string | undefined }) => {
  const { out, ...settings } = options
  const folder = out ?? `runs/bench-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`
  const file = join(folder, "results.jsonl")
  const measured = Effect.gen(function* () {
    const began = performance.now()
    const command = ["bun run bench", ...process.argv.slice(2)].join(" ")
    yield* record(describeRun(command, yield* pythonVersions(settings.python)))
    const secondsOf = ({ seconds }: Suite) => seconds * (settings.quick ? quickly : 1)
    const clock = { done: 0, total: suites.reduce((sum, suite) => sum + secondsOf(suite), 0) }
    const end = (whole: boolean) =>
      Effect.gen(function* () {
        yield* record({ kind: "end", seconds: (performance.now() - began) / 1000, whole })
        const rows = (yield* Recorder).rows()
        for (const row of rows) if (row.kind === "absent") yield* say(`${row.subject} is absent: ${row.reason}`)
        const page = yield* writeReport(rows, folder)
        yield* print(`\n${whole ? "" : "stopped early; what was measured is in "}${file}\n${page}`)
      })
    yield* Effect.forEach(suites, (suite) => runSuite(suite, settings, secondsOf(suite), clock), {
      discard: true,
    }).pipe(Effect.onInterrupt(() => Effect.ignore(end(false))))
    yield* end(true)
  }).pipe(Effect.provide([layer(file), FetchHttpClient.layer]))
  // A run is one file: another one is not added to it.
  return Effect.gen(function* () {
    if (yield* (yield* FileSystem.FileSystem).exists(file))
      return yield* new ResultsError({ file, reason: "it holds a run already: name another folder as --out" })
    return yield* measured
  })
}
