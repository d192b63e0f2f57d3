/** The report of a run as a self-contained page: losses first, then charts and tables by suite, then method and machine. */
import { Program } from "@spikeroute/core"
import { columnsOf, formatRatio, milliseconds, percent } from "../method/format.ts"
import {
  describeValues,
  type Failed,
  type Figures,
  type Row,
  type Run,
  type Slower,
  type Timing,
} from "../method/row.ts"
import { summarize, tolerated } from "../method/statistics.ts"
import { chartsOf } from "./charts.ts"
import { comparisonsOf, type LibraryComparison, timingsOf, verdict } from "./library-comparisons.ts"

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>, kind = ""): string =>
  `<div class="scroll ${kind}"><table><thead><tr>${header.map((cell) => `<th>${escaped(cell)}</th>`).join("")}</tr></thead><tbody>${rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`)
    .join("")}</tbody></table></div>`

const timesTable = (comparisons: ReadonlyArray<LibraryComparison>): string =>
  table(
    ["backend", "× as long", "library", "ms", "its ms", "what"],
    comparisons.map(({ own, peer, what, times }) => [
      ...[own.subject, formatRatio(times)],
      peer.subject.startsWith(peer.peer ?? "") ? peer.subject : `${peer.peer}: ${peer.subject}`,
      ...[milliseconds(summarize(own).median), milliseconds(summarize(peer).median), what],
    ]),
    "beside",
  )

/** Comparisons with other libraries, the lost ones first. */
const librariesSection = (comparisons: ReadonlyArray<LibraryComparison>): string => {
  if (comparisons.length === 0) return "<h2>Comparison with other libraries</h2><p>This run timed no other library.</p>"
  const of = (which: ReturnType<typeof verdict>) =>
    comparisons.filter((each) => verdict(each) === which).toSorted((a, b) => a.times.value - b.times.value)
  const [lost, open, won] = [of("lost"), of("open"), of("won")]
  const libraries = (among: ReadonlyArray<LibraryComparison>) =>
    [...new Set(among.map(({ peer }) => peer.peer))].join(", ")
  return [
    `<h2>Where Spikeroute loses</h2>`,
    lost.length === 0
      ? `<p>In none of ${comparisons.length} comparisons with ${libraries(comparisons)}.</p>`
      : `<p class="lost">${lost.length} of ${comparisons.length} comparisons are faster with ${libraries(lost)}.</p>${timesTable(lost)}`,
    open.length === 0 ? "" : `<h2>Undecided because of noise or too few rounds</h2>${timesTable(open)}`,
    won.length === 0 ? "" : `<h2>Where Spikeroute wins</h2>${timesTable(won)}`,
    `<p class="note">× as long: time of the library's fastest variant divided by Spikeroute's, with its 99 % interval.</p>`,
  ].join("\n")
}

const section = (suite: string, rows: ReadonlyArray<Row>): string => {
  const own = rows.filter(
    (row): row is Timing | Figures => (row.kind === "timing" || row.kind === "figures") && row.suite === suite,
  )
  if (own.length === 0) return ""
  const groups = [...new Set(own.map(({ group }) => group))]
  const charts = chartsOf(suite, rows)
  return [
    `<h2 id="${suite}">${suite}</h2>`,
    `<div class="charts">${charts.map(({ title, svg }) => `<figure><figcaption>${escaped(title.replace(`${suite}: `, ""))}</figcaption>${svg}</figure>`).join("")}</div>`,
    ...groups.map((group) => {
      const rowsOf = own.filter((row) => row.group === group)
      const columns = columnsOf(rowsOf)
      const shared = Object.fromEntries(
        Object.entries(rowsOf[0]?.values ?? {}).filter(([name, value]) =>
          rowsOf.every(({ values }) => values[name] === value),
        ),
      )
      return `<details${charts.length > 6 ? "" : " open"}><summary>${escaped(group)}${Object.keys(shared).length > 0 ? ` <small>${escaped(describeValues(shared))}</small>` : ""}</summary>${table(
        columns.map(({ title }) => title),
        rowsOf.map((row) => columns.map(({ cell }) => cell(row, rowsOf))),
      )}</details>`
    }),
  ].join("\n")
}

const method = `<h2 id="method">Method</h2>
<p>After warm-up rounds, the subjects of a group run in turn, round after round (A B C, A B C, …); between sittings everything is closed
and reopened. In a round a subject first runs one untimed iteration, then as many as fit into 50 ms; their mean is its time. Work that
cannot be repeated runs once. Times are medians of the rounds. Ratios are medians of the rounds' ratios, with 99 % bootstrap intervals
over sittings and rounds that include each sitting's median.</p>
<p>During each round the load of other processes is measured (Linux: /proc/stat minus our own processes). Rounds in which others kept more
than ${tolerated} of a processor busy are disturbed and count only if fewer than three others remain; such rows are marked “!”.</p>
<p>Before a backend is timed, its outputs are compared with the reference backend: loss, read-out, firing rates and all gradients of a small
batch (“error”: the largest difference divided by the largest value). Other libraries get the same weights and batch; their loss and firing
rates are compared with ours. A library's variants are excluded if they take more than 1.4 times as long as its fastest before the rounds.</p>
<p>Timed training iterations compute the optimiser's update with a learning rate of 0: all the work is done, but the weights stay the same,
so that losses and firing rates do not depend on the number of repetitions.</p>
<p>Synaptic operations, sparsities, footprint and membrane updates follow NeuroBench. The energy proxy covers only float32 arithmetic at
45 nm (Horowitz 2014: 0.9 pJ an addition, 3.7 pJ a multiplication).</p>`

const machineTable = ({ machine, versions, commit, started, command }: Run): string =>
  `<h2 id="machine">Machine</h2>${table(
    ["", ""],
    [
      ["processor", `${machine.processor}, ${machine.processors} processors`],
      ["memory", Program.formatBytes(machine.memoryBytes)],
      ["system", machine.system],
      ["commit", commit],
      ["started", started],
      ["command", command],
      ...Object.entries(versions),
    ],
  )}`

const style = `
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6875; --line: #d9dfe5; --paper: #fff; --lost: #b03a3a }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #9aa7b4; --line: #36424e; --paper: #151b21; --lost: #f08a8a } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 16px; max-width: 1360px }
h1 { font-size: 1.6rem; margin: 8px 0 } h2 { font-size: 1.25rem; margin: 40px 0 8px; border-top: 1px solid var(--line); padding-top: 16px }
nav { display: flex; flex-wrap: wrap; gap: 4px 14px } a { color: #2a6fb0 } p { max-width: 75ch } p, li { overflow-wrap: anywhere } .note, small, .legend { color: var(--soft); font-size: .85rem }
.lost { color: var(--lost); font-weight: 600 }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px }
figure { margin: 0; min-width: 0; background: #fff; color: #1d2733; border: 1px solid var(--line); border-radius: 6px; padding: 8px }
figcaption { font-weight: 600; font-size: .9rem } figure svg { width: 100%; height: auto; display: block; max-width: 760px }
.legend { margin: 4px 0; color: #1d2733 } .legend span { margin-right: 12px; white-space: nowrap } .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px }
.scroll { overflow-x: auto; margin: 8px 0 } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th { color: var(--soft); font-weight: 600 } th:first-child, td:first-child { text-align: left; padding-left: 0 }
.beside :is(th, td):is(:nth-child(3), :nth-child(6)) { text-align: left }
@media (max-width: 640px) {
  .beside :is(table, thead, tbody) { display: block }
  .beside tr { display: grid; grid-template-columns: 4.8em 8.4em 1fr 3.6em 3.6em; border-bottom: 1px solid var(--line); font-size: .75rem }
  .beside :is(th, td) { white-space: normal; border: 0; padding: 2px 4px 2px 0 }
  .beside :is(th, td):nth-child(6) { grid-column: 1 / -1; color: var(--soft) }
}
summary { cursor: pointer; font-weight: 600; margin-top: 8px } ul { padding-left: 20px }`

/** What was left out, and why: a comparison may lack a variant for this reason. */
const notTimed = (left: ReadonlyArray<Failed | Slower>): string =>
  left.length === 0
    ? ""
    : `<h2 id="not-timed">Not timed</h2><details><summary>${left.length} subjects</summary><ul>${left
        .map((row) => {
          const what = describeValues(row.values)
          const reason =
            row.kind === "failed"
              ? row.reason
              : `${milliseconds(row.seconds)} ms before the rounds; the library's fastest variant took ${milliseconds(row.fastest)} ms`
          const about = `${row.suite}, ${row.group}: ${row.subject}${what === "" ? "" : ` (${what})`}`
          return `<li>${escaped(`${about}: ${reason}`)}</li>`
        })
        .join("")}</ul></details>`

/** The report page of a run. */
export const page = (rows: ReadonlyArray<Row>): string => {
  const run = rows.find((row) => row.kind === "run")
  const end = rows.findLast((row) => row.kind === "end")
  const suites = [
    ...new Set(rows.flatMap((row) => (row.kind === "timing" || row.kind === "figures" ? [row.suite] : []))),
  ]
  const timings = timingsOf(rows)
  const marked = timings.filter((row) => summarize(row).marked)
  const absent = rows.filter((row) => row.kind === "absent")
  const failed = rows.filter((row) => row.kind === "failed")
  const left = rows.filter((row) => row.kind === "failed" || row.kind === "slower")
  const missing = failed.filter(({ peer }) => peer !== undefined)
  const when = run?.started.slice(0, 16).replace("T", " ") ?? ""
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Spikeroute benchmarks, ${escaped(when)}</title><style>${style}</style></head><body>
<h1>Spikeroute benchmarks</h1>
<p>${escaped(run === undefined ? "" : `${run.machine.processor}, ${run.machine.processors} processors; commit ${run.commit}; ${when} UTC`)}${end === undefined || !end.whole ? ". <strong>The run ended early; these are the results so far.</strong>" : `; ${Math.round(end.seconds / 60)} minutes`}</p>
<nav>${[...suites, ...(left.length > 0 ? ["not-timed"] : []), "method", "machine"].map((name) => `<a href="#${name}">${name.replace("-", " ")}</a>`).join("")}</nav>
${librariesSection(comparisonsOf(rows))}
${missing.length === 0 ? "" : `<p class="note">${missing.length} variants of other libraries <a href="#not-timed">were not timed</a>, so a comparison may lack a library's fastest.</p>`}
${marked.length === 0 ? "" : `<p class="note">${marked.length} of ${timings.length} timings (${percent(marked.length / timings.length)}) had too few rounds without other work on the machine; they are marked “!”.</p>`}
${absent.length === 0 ? "" : `<h2>Absent</h2><ul>${absent.map(({ subject, reason }) => `<li>${escaped(subject)}: ${escaped(reason)}</li>`).join("")}</ul>`}
${suites.map((suite) => section(suite, rows)).join("\n")}
${notTimed(left)}
${method}
${run === undefined ? "" : machineTable(run)}
</body></html>
`
}
