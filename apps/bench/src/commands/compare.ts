/** `--compare A.jsonl B.jsonl`: fails if Spikeroute is slower or needs more memory in the newer run, beyond the noise. */
import { print, table } from "@spikeroute/cli/terminal"
import { Data, Effect } from "effect"
import { formatFigure, formatRatio } from "../method/format.ts"
import { ResultsError, read } from "../report/read.ts"
import { compareRuns, overall } from "../report/run-comparison.ts"

export class RegressionError extends Data.TaggedError("RegressionError")<{ readonly count: number }> {
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "figure is" : "figures are"} worse than before, beyond the noise`
  }
}

export const compare = (older: string | undefined, newer: string | undefined) =>
  Effect.gen(function* () {
    if (older === undefined || newer === undefined)
      return yield* new ResultsError({
        file: newer ?? older ?? "--compare",
        reason: "name two runs: --compare A.jsonl B.jsonl (to choose suites, use --suites)",
      })
    const [before, after] = [yield* read(older), yield* read(newer)]
    const { slower, faster, larger, ratios, disagreeing, common, disturbed } = compareRuns(before, after)
    const machine = overall(before, after)
    const changes = (title: string, rows: typeof slower) =>
      rows.length === 0
        ? []
        : [
            `\n${title}`,
            table(
              ["", "× as long"],
              rows.map(({ name, times }) => [name, formatRatio(times)]),
            ),
          ]
    yield* print(
      [
        `${common} timings are in both runs; the median ratio newer / older is ${machine.toFixed(2)}.`,
        ...(disturbed === 0 ? [] : [`${disturbed} of them were disturbed by other load and are ignored.`]),
        `${ratios - disagreeing.length} of ${ratios} within-run ratios agree within their intervals.`,
        ...(disagreeing.length === 0
          ? []
          : [
              table(
                ["ratios that disagree", "older", "newer"],
                disagreeing.map((each) => [each.name, formatRatio(each.older), formatRatio(each.newer)]),
              ),
            ]),
        ...changes("slower", slower),
        ...changes("faster", faster),
        ...(larger.length === 0
          ? []
          : [
              "\nlarger",
              table(
                ["", "", "older", "newer"],
                larger.map(({ name, figure, from, to }) => [
                  ...[name, figure, formatFigure(figure, from), formatFigure(figure, to)],
                ]),
              ),
            ]),
      ].join("\n"),
    )
    const worse = slower.length + larger.length
    if (worse > 0) return yield* new RegressionError({ count: worse })
  })
