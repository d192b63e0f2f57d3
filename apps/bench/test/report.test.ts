import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { differences } from "../src/gate/plans.ts"
import type { Row, Timing } from "../src/method/row.ts"
import { page } from "../src/report/html.ts"
import { tables } from "../src/report/markdown.ts"
import { parse } from "../src/report/read.ts"
import { compareRuns } from "../src/report/run-comparison.ts"

const folder = mkdtempSync(join(tmpdir(), "spikeroute-bench-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run: Row = {
  ...{ kind: "run", format: 1, started: "2026-01-02T03:04:05.000Z", command: "bun run bench", commit: "abc" },
  machine: { processor: "a <processor>", processors: 2, memoryBytes: 2 ** 33, system: "linux" },
  versions: { Bun: "1" },
}

const timing = (subject: string, milliseconds: number, peer?: string): Timing => ({
  ...{ kind: "timing", suite: "peers", group: "conv, sltt", subject, figures: { "planned bytes": 1000 } },
  values: { model: "conv", policy: "sltt", timeSteps: 4, batchSize: 64, threads: 2, weights: "random weights" },
  ...(peer === undefined ? {} : { peer }),
  seconds: [1, 1.01, 0.99, 1.02, 1].map((factor) => (milliseconds * factor) / 1000),
  sittings: [0, 0, 1, 1, 2],
  firingRates: [0.1, 0.2],
})

const rows: ReadonlyArray<Row> = [
  run,
  timing("native", 30),
  timing("wasm", 90),
  timing("PyTorch, plain", 80, "PyTorch"),
  timing("PyTorch, fused", 60, "PyTorch"),
  { kind: "absent", subject: "snnTorch", reason: "there is no module snntorch" },
]

test("the report lists comparisons lost to a library's fastest variant first", () => {
  const html = page([...rows, { kind: "end", seconds: 60, whole: true }])
  const lost = html.indexOf("Where Spikeroute loses")
  expect(lost).toBeGreaterThan(0)
  expect(lost).toBeLessThan(html.indexOf("Where Spikeroute wins"))
  expect(html.indexOf("Where Spikeroute wins")).toBeLessThan(html.indexOf('<h2 id="peers">'))
  const losses = html.slice(lost, html.indexOf("Where Spikeroute wins"))
  expect(losses).toContain("1 of 2 comparisons")
  expect(losses).toMatch(/<td>wasm<\/td><td>0\.67 \[[^<]*<\/td><td>PyTorch, fused<\/td><td>90\.0<\/td><td>60\.0<\/td>/)
  expect(losses).not.toContain("<td>native</td>")
  expect(html).toContain("snnTorch: there is no module snntorch")
  expect(html).toContain("a &#60;processor&#62;")
  expect(html).not.toMatch(/<script|src="|href="http/)
})

test("a comparison of two rounds, which has no interval, is lost if Spikeroute took longer", () => {
  const short = (each: Timing): Timing => ({ ...each, seconds: each.seconds.slice(0, 2), sittings: [0, 1] })
  const html = page([
    run,
    short(timing("native", 30)),
    short(timing("wasm", 90)),
    short(timing("PyTorch", 60, "PyTorch")),
  ])
  const losses = html.slice(html.indexOf("Where Spikeroute loses"), html.indexOf("Undecided"))
  expect(losses).toContain("<td>wasm</td>")
  expect(losses).not.toContain("<td>native</td>")
})

test("the report of an interrupted run says so", () => {
  expect(page(rows)).toContain("The run ended early")
})

test("the Markdown tables show each library's fastest variant, the ratio to it, and memory growth", () => {
  const grown = (subject: string, bytes: number, planned?: number): Row => ({
    ...{ kind: "figures", suite: "peers", group: "memory", subject, values: timing(subject, 1).values },
    ...(planned === undefined ? { peer: "PyTorch" } : {}),
    figures: { "resident bytes": bytes, ...(planned === undefined ? {} : { "planned bytes": planned }) },
  })
  const trained = (row: Row): Row =>
    row.kind === "timing" ? { ...row, group: "later", values: { ...row.values, weights: "trained" } } : row
  const lines = tables([
    ...rows,
    ...rows.slice(1, 5).map(trained),
    grown("native", 32e6, 31e6),
    grown("PyTorch, plain", 80e6),
  ]).split("\n")
  const compared =
    /^\| conv, SLTT, T = 4, 64 +\| 60\.0 ms +\| 30\.0 ms \(2\.0 ×\) \| 90\.0 ms \(0\.7 ×\) \| 10\.0 %, 20\.0 % \|$/
  expect(lines[lines.indexOf("random weights:") + 4]).toMatch(compared)
  expect(lines[lines.indexOf("trained:") + 4]).toMatch(compared)
  expect(lines.at(-3)).toMatch(/^\| model, policy, T, batch \| planned \| native +\| PyTorch, plain \|$/)
  expect(lines.at(-1)).toMatch(/^\| conv, SLTT, T = 4, 64 +\| 31\.0 MB \| 32\.0 MB \| 80\.0 MB +\|$/)
})

test("an excluded variant is listed with its time", () => {
  const { suite, group, values } = timing("", 1)
  const slower: Row = {
    ...{ kind: "slower", suite, group, subject: "PyTorch, plain", peer: "PyTorch", values },
    ...{ seconds: 0.2, fastest: 0.1 },
  }
  expect(page([...rows, slower])).toContain("200.0 ms before the rounds; the library's fastest variant took 100.0 ms")
})

test("slower beyond the noise and larger are flagged; small changes are not", () => {
  const changed = (native: number, bytes = 1000): ReadonlyArray<Row> => [
    run,
    { ...timing("native", native), figures: { "planned bytes": bytes } },
    ...rows.slice(2),
  ]
  expect(compareRuns(rows, changed(30.5))).toMatchObject({ slower: [], faster: [], larger: [], disagreeing: [] })
  const worse = compareRuns(rows, changed(45, 1001))
  expect(worse.slower.map(({ name }) => name)).toEqual([expect.stringContaining("native")])
  expect(worse.larger).toMatchObject([{ figure: "planned bytes", from: 1000, to: 1001 }])
  expect(worse.disagreeing.length).toBe(3)
  expect(compareRuns(changed(45), rows).faster.length).toBe(1)
  // If all other libraries changed as much, the machine may be the cause.
  const apart = (factor: number) => [
    ...[run, timing("native", 30 * factor)],
    ...["a", "b", "c"].map((name) => timing(name, 60 * factor, name)),
  ]
  expect(compareRuns(apart(1), apart(1.3)).slower).toEqual([])
  const busy = changed(45).map((row) => (row.kind === "timing" ? { ...row, others: [1, 1, 1, 1, 1] } : row))
  expect(compareRuns(rows, busy)).toMatchObject({ slower: [], common: 4, disturbed: 4 })
})

test("results are read back; a truncated last line is ignored, an invalid line elsewhere is an error", async () => {
  const lines = rows.map((row) => JSON.stringify(row))
  const whole = await Effect.runPromise(parse(`${lines.join("\n")}\n`, "r.jsonl"))
  expect(whole).toEqual([...rows])
  expect(await Effect.runPromise(parse(`${lines.join("\n")}\n{"kind":"tim`, "r.jsonl"))).toEqual([...rows])
  const error = await Effect.runPromise(Effect.flip(parse(`${lines[0]}\n{"kind":"timing"}\n${lines[1]}\n`, "r.jsonl")))
  expect(error.message).toContain("r.jsonl: line 2")
})

test("gate: memory must not change, multiplications may only decrease", () => {
  const plan = { bytes: 100, forwardMultiplications: 10, backwardMultiplications: 20 }
  expect(differences({ a: plan }, { a: { ...plan, backwardMultiplications: 19 } })).toEqual([])
  expect(differences({ a: plan }, { a: { ...plan, bytes: 99 } })).toEqual([
    "a: planned memory was 100 bytes, and is 99",
  ])
  expect(differences({ a: plan }, { a: { ...plan, forwardMultiplications: 11 } })).toEqual([
    "a: forward multiplications were 10, and are 11",
  ])
  expect(differences({ a: plan }, { b: plan }).length).toBe(2)
})

const entry = fileURLToPath(new URL("../src/main.ts", import.meta.url))

test("Ctrl-C keeps the results so far and writes their report", async () => {
  const out = join(folder, "run")
  const child = Bun.spawn([process.execPath, entry, "startup", "--rounds", "500", "--backends", "wasm", "--out", out], {
    ...{ stdout: "ignore", stderr: "pipe" },
  })
  const file = join(out, "results.jsonl")
  while (!existsSync(file) && child.exitCode === null) await Bun.sleep(50)
  await Bun.sleep(300)
  child.kill("SIGINT")
  expect(await child.exited).toBe(130)
  const kept = await Effect.runPromise(parse(readFileSync(file, "utf8"), file))
  expect(kept.map(({ kind }) => kind)).toEqual(["run", "end"])
  expect(kept.at(-1)).toMatchObject({ whole: false })
  expect(readFileSync(join(out, "report.html"), "utf8")).toContain("The run ended early")
  const again = Bun.spawn([process.execPath, entry, "startup", "--out", out], { stderr: "pipe" })
  expect(await again.stderr.text()).toContain(join(out, "results.jsonl"))
  expect(await again.exited).toBe(2)
}, 60_000)

test("--compare A B fails with one line if B is slower", async () => {
  const file = (name: string, native: number) => {
    const path = join(folder, name)
    const all = [run, timing("native", native), timing("wasm", 90)]
    writeFileSync(path, `${all.map((row) => JSON.stringify(row)).join("\n")}\n`)
    return path
  }
  const [a, b] = [file("a.jsonl", 30), file("b.jsonl", 60)]
  const compare = async (...args: ReadonlyArray<string>) => {
    const child = Bun.spawn([process.execPath, entry, ...args], { stderr: "pipe" })
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()])
    return { out, error, code: await child.exited }
  }
  expect(await compare("--compare", a, a)).toMatchObject({ code: 0, error: "" })
  const worse = await compare("--compare", a, b)
  expect(worse.code).toBe(1)
  expect(worse.error).toBe("error: 1 figure is worse than before, beyond the noise\n")
  expect(worse.out).toContain("2.00 [")
  expect((await compare("--compare", a)).error).toContain("name two runs")
}, 60_000)
