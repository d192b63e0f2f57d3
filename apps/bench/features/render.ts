/** Renders FEATURES.md: fills the template's tables with the conformance results. */
import { readFileSync } from "node:fs"
import type { Results } from "./results.ts"
import { backends, losses, type OpLine, ops, policies, runtimes } from "./subjects.ts"

const templateFile = new URL("./FEATURES.template.md", import.meta.url)

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = header.map((title, i) => Math.max(3, title.length, ...rows.map((row) => (row[i] ?? "").length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

/** ✓ if all of these cases pass on the backend, ✗ if one fails, – if the suite was not run. */
const mark = ({ backends }: Results, backend: string, cases: ReadonlyArray<string>): string => {
  const results = backends[backend]
  if (results === undefined || cases.length === 0) return "–"
  return cases.some((name) => results.failed[name] !== undefined) ? "✗" : "✓"
}

const isForward = (name: string) => /\.(forward|mask|inference|accumulate|sgd|adam)$/.test(name)

/** The cases of an op's kernels in one direction; for an op without kernels, whole programs. */
const casesOf = ({ cases }: Results, { kernels }: OpLine, forward: boolean): ReadonlyArray<string> =>
  kernels.length === 0
    ? cases.filter((name) => name.includes(", ") && name.endsWith(forward ? "inference" : "bptt"))
    : cases.filter((name) => {
        const kernel = /^kernel (.*)$/.exec(name)?.[1]
        // A kernel without a direction runs in both.
        const isOf = kernel !== undefined && (!kernel.includes(".") || isForward(kernel) === forward)
        return isOf && kernels.includes(kernel.split(".")[0] ?? "")
      })

const names = backends.map(({ name }) => name)
const codes = names.map((name) => `\`${name}\``)

const opTable = (results: Results) =>
  table(
    ["op", ...codes, "notes"],
    ops.map((op) => [
      op.title,
      ...names.map((backend) => {
        const backward = casesOf(results, op, false)
        const both = [mark(results, backend, casesOf(results, op, true))]
        if (backward.length > 0) both.push(mark(results, backend, backward))
        return both.join(" ")
      }),
      op.notes,
    ]),
  )

const policyTable = (results: Results) =>
  table(
    ["policy", ...codes],
    policies.map(({ title, cases }) => [
      title,
      ...names.map((backend) =>
        mark(
          results,
          backend,
          results.cases.filter((name) => cases.some((each) => name.endsWith(`, ${each}`))),
        ),
      ),
    ]),
  )

const lossTable = (results: Results) =>
  table(
    ["terms", ...codes],
    losses.map((title) => [
      title,
      ...names.map((backend) =>
        mark(
          results,
          backend,
          results.cases.filter((name) => name.startsWith(`loss ${title}, `)),
        ),
      ),
    ]),
  )

const backendTable = (results: Results) =>
  table(
    ["backend", "kernels", "threads", "results"],
    backends.map(({ name, threads, results: says }) => {
      const kernels = results.cases.filter((each) => each.startsWith("kernel "))
      const failed = kernels.filter((each) => results.backends[name]?.failed[each] !== undefined)
      const passed = results.backends[name] === undefined ? "–" : `all but ${failed.length}`
      return [`\`${name}\``, passed === "all but 0" ? "all" : passed, threads, says]
    }),
  )

const runtimeTable = (results: Results) =>
  table(
    ["backend", "Bun", ...runtimes],
    backends.map(({ name, runtimes: known }) => [
      `\`${name}\``,
      mark(results, name, results.cases),
      ...runtimes.map((runtime) => known[runtime]?.says ?? "not tested"),
    ]),
  )

const places: Readonly<Record<string, (results: Results) => string>> = {
  ops: opTable,
  policies: policyTable,
  losses: lossTable,
  backends: backendTable,
  runtimes: runtimeTable,
}

export const render = (results: Results, template = readFileSync(templateFile, "utf8")): string =>
  template.replace(/^<!-- table: (\w+) -->$/gm, (whole, name: string) => places[name]?.(results) ?? whole)
