/** The tables of docs/benchmarks.md, from the suites step and peers of a run. */

import { Program } from "@spikeroute/core"
import { formatRates, milliseconds } from "../method/format.ts"
import type { Figures, Row, Timing, Values } from "../method/row.ts"
import { ratio, summarize } from "../method/statistics.ts"
import { groupsOf, timingsOf } from "./library-comparisons.ts"

const markdown = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = header.map((title, i) => Math.max(title.length, 3, ...rows.map((row) => (row[i] ?? "").length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

const title = ({ model, policy, timeSteps, batchSize }: Values) => {
  const name = String(policy).startsWith("slttk(")
    ? `SLTT-${String(policy).slice(6, -1)}`
    : String(policy).toUpperCase()
  return `${model}, ${name}, T = ${timeSteps}, ${batchSize}`
}

const rates = (timing: Timing) => formatRates(timing.firingRates ?? [])

/** One row per iteration, at its largest number of threads; one column per backend. */
const step = (timings: ReadonlyArray<Timing>): string => {
  const groups = groupsOf(timings.filter(({ suite }) => suite === "step")).map((group) => {
    const threads = Math.max(...group.map(({ values }) => Number(values.threads)))
    return group.filter(({ values }) => values.threads === threads)
  })
  const subjects = [...new Set(groups.flatMap((group) => group.map(({ subject }) => subject)))]
  return markdown(
    ["model, policy, T, batch", ...subjects, "firing rates"],
    groups.map((group) => [
      title(group[0]?.values ?? {}),
      ...subjects.map((name) => {
        const timing = group.find(({ subject }) => subject === name)
        return timing === undefined ? "–" : `${milliseconds(summarize(timing).median)} ms`
      }),
      group[0] === undefined ? "" : rates(group[0]),
    ]),
  )
}

/** One row per iteration: each library's fastest variant, and in brackets the ratio of PyTorch's fastest to each backend. */
const peers = (timings: ReadonlyArray<Timing>): string => {
  const groups = groupsOf(timings)
  const libraries = [...new Set(groups.flatMap((group) => group.flatMap(({ peer }) => (peer ? [peer] : []))))]
  const own = [...new Set(groups.flatMap((group) => group.filter(({ peer }) => !peer).map(({ subject }) => subject)))]
  const fastest = (group: ReadonlyArray<Timing>, library: string) =>
    group.filter(({ peer }) => peer === library).toSorted((a, b) => summarize(a).median - summarize(b).median)[0]
  const time = (timing: Timing | undefined) =>
    timing === undefined ? "–" : `${milliseconds(summarize(timing).median)} ms`
  return markdown(
    ["model, policy, T, batch", ...libraries.map((name) => `fastest ${name}`), ...own, "firing rates"],
    groups.map((group) => [
      title(group[0]?.values ?? {}),
      ...libraries.map((library) => time(fastest(group, library))),
      ...own.map((name) => {
        const timing = group.find(({ subject }) => subject === name)
        const first = fastest(group, libraries.includes("PyTorch") ? "PyTorch" : (libraries[0] ?? ""))
        if (timing === undefined || first === undefined) return time(timing)
        const { value } = ratio(first, timing)
        return `${time(timing)} (${value.toFixed(1)} ×)`
      }),
      group[0] === undefined ? "" : rates(group[0]),
    ]),
  )
}

/** Growth in resident memory: one row per iteration, one column per subject. */
const memory = (figures: ReadonlyArray<Figures>): string => {
  const subjects = [...new Set(figures.map(({ subject }) => subject))]
  const iterations = [...new Set(figures.map(({ values }) => title(values)))]
  const bytes = (value: number | undefined) => (value === undefined ? "–" : Program.formatBytes(value))
  return markdown(
    ["model, policy, T, batch", "planned", ...subjects],
    iterations.map((iteration) => {
      const own = figures.filter(({ values }) => title(values) === iteration)
      return [
        ...[iteration, bytes(own.find(({ peer }) => peer === undefined)?.figures["planned bytes"])],
        ...subjects.map((name) => bytes(own.find(({ subject }) => subject === name)?.figures["resident bytes"])),
      ]
    }),
  )
}

/** All tables for which the run has data. */
export const tables = (rows: ReadonlyArray<Row>): string => {
  const timings = timingsOf(rows)
  const peerTimings = timings.filter(({ suite }) => suite === "peers")
  const grown = rows.filter((row): row is Figures => row.kind === "figures" && row.suite === "peers")
  return [
    ...(timings.some(({ suite }) => suite === "step") ? [step(timings)] : []),
    ...[...new Set(peerTimings.map(({ values }) => String(values.weights)))].flatMap((weights) => [
      `${weights}:`,
      peers(peerTimings.filter(({ values }) => values.weights === weights)),
    ]),
    ...(grown.length > 0 ? ["memory:", memory(grown)] : []),
  ].join("\n\n")
}
