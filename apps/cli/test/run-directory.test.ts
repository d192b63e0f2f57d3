/** Run directories after refused, stopped, changed and complete runs; concurrent processes; modified files. */
import { beforeAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import {
  command,
  ended,
  filesOf,
  positionOf,
  type Result,
  readJson,
  run,
  small,
  start,
  temporaryDirectory,
} from "./support.ts"

const directory = temporaryDirectory()
const path = (name: string) => join(directory, name)
const good = path("good")
const tiny = (epochs: number) => [...small(epochs), "--model", "mlp", "--width", "0.05"]

const isRefused = ({ code, stdout, stderr }: Result, ...parts: ReadonlyArray<string>) => {
  expect({ code, stdout, lines: stderr.trim().split("\n").length }).toEqual({ code: 2, stdout: "", lines: 1 })
  expect(stderr.startsWith("error: ")).toBe(true)
  for (const part of parts) expect(stderr).toContain(part)
}

const copy = (name: string) => {
  cpSync(good, path(name), { recursive: true })
  return path(name)
}

beforeAll(async () => {
  expect((await run("train", ...tiny(2), "--out", good)).code).toBe(0)
})

test("a run refused before its first update leaves no directory, and no files in an existing one", async () => {
  const out = path("made/refused")
  mkdirSync(path("empty"))
  for (const directory of [out, path("empty")]) {
    const { code } = await run("train", ...tiny(1), "--limit", "3", "--batch-size", "4", "--out", directory)
    expect(code).toBe(2)
  }
  expect(existsSync(out)).toBe(false)
  expect(readdirSync(path("empty"))).toEqual([])
  expect((await run("train", ...tiny(1), "--out", path("empty"))).code).toBe(0)
})

test("without space for the files of a run, it prints one line and leaves no directory", async () => {
  // A file size limit, in blocks of 512 bytes, simulates a full disk.
  const child = Bun.spawn(
    ["sh", "-c", `ulimit -f 100; exec "$@"`, "sh", ...command("train", ...tiny(1), "--out", path("full"))],
    {
      stdout: "pipe",
      stderr: "pipe",
    },
  )
  const result = await ended(child)
  isRefused(lastLine(result), path("full/last.safetensors"), "EFBIG")
  expect(existsSync(path("full"))).toBe(false)
})

const lastLine = (result: Result): Result => ({ ...result, stderr: result.stderr.trim().split("\n").at(-1) ?? "" })

test("files left by a run killed while creating its directory do not block the next run", async () => {
  const out = path("killed")
  mkdirSync(out)
  writeFileSync(join(out, ".lock"), "")
  for (const name of ["graph.json", "config.json.123.part", "last.safetensors"]) writeFileSync(join(out, name), "x")
  expect((await run("train", ...tiny(1), "--out", out)).code).toBe(0)
  expect(readdirSync(out).some((name) => name.endsWith(".part"))).toBe(false)
})

test("--resume of a complete run changes nothing and reports it", async () => {
  const before = filesOf(good)
  for (const flags of [[], ["--epochs", "2"], ["--workers", "1"]]) {
    const { code, stderr, stdout } = await run("train", "--resume", good, "--json", ...flags)
    expect(code).toBe(0)
    expect(stderr).toContain("is complete")
    expect(JSON.parse(stdout)).toEqual({ directory: good, ...readJson(good, "summary.json") })
  }
  expect(filesOf(good)).toEqual(before)
  isRefused(await run("train", "--resume", good, "--epochs", "1"), "--epochs is 1")
  expect(filesOf(good)).toEqual(before)
})

test("settings changed by --resume are saved at its first update, with a warning if the learning rate jumps", async () => {
  const changed = copy("changed")
  const { code, stderr } = await run("train", "--resume", changed, "--epochs", "3")
  expect(code).toBe(0)
  expect(stderr).toMatch(/warning: the cosine schedule .* 3 epochs .* 2: .* from 0\.0000192 to 0\.000500/)
  const rates = readFileSync(join(changed, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).learningRate)
    .filter((rate) => rate !== undefined)
  const [, last, next] = stderr.match(/from (\S+) to (\S+),/) as RegExpMatchArray
  expect([Number(last), Number(next)]).toEqual([rates[15], rates[16]].map((rate) => Number(rate.toPrecision(3))))
  expect(readJson(changed, "config.json").epochs).toBe(3)
  const summary = readJson(changed, "summary.json")
  expect(summary).toMatchObject({ epochs: 3, updates: 24 })
  expect(summary.testTop5).toBeGreaterThan(0)

  const refused = copy("unchanged")
  const before = filesOf(refused)
  const data = path("absent")
  expect((await run("train", "--resume", refused, "--epochs", "9", "--backend", "nativ")).code).toBe(2)
  writeFileSync(join(refused, "config.json"), JSON.stringify({ ...readJson(refused, "config.json"), dataset: "mnist" }))
  isRefused(await run("train", "--resume", refused, "--epochs", "9", "--data-dir", data), data)
  expect(readJson(refused, "config.json").epochs).toBe(2)
  expect({ ...filesOf(refused), "config.json": 0 }).toEqual({ ...before, "config.json": 0 })
})

test("resuming a run without a summary writes it with all results", async () => {
  const ended = copy("no-summary")
  const whole = readJson(ended, "summary.json")
  rmSync(join(ended, "summary.json"))
  expect((await run("train", "--resume", ended)).code).toBe(0)
  expect(readJson(ended, "summary.json")).toEqual({
    ...whole,
    samplesPerSecond: null,
    seconds: expect.any(Number),
  })
})

test("the command suggested after Ctrl-C resumes the run with its settings and its absolute, quoted path", async () => {
  const out = copy("it's $HOME; a run")
  const child = start("train", "--resume", out, "--epochs", "2000")
  for (let i = 0; i < 3000 && readJson(out, "config.json").epochs !== 2000; i++) await Bun.sleep(10)
  child.kill("SIGINT")
  const { code, stderr } = await ended(child)
  expect(code).toBe(130)
  const quoted = stderr.match(/continue with train --resume (.*)$/m)?.[1] as string
  expect(execFileSync("sh", ["-c", `printf %s ${quoted}`], { cwd: "/" }).toString()).toBe(out)
  expect(readJson(out, "config.json").epochs).toBe(2000)
  expect(existsSync(join(out, "summary.json"))).toBe(false)
  expect(positionOf(out).update).toBeGreaterThan(16)
})

test("two processes cannot train in one directory; a killed process does not block it", async () => {
  const shared = copy("shared")
  const first = start("train", "--resume", shared, "--epochs", "2000")
  for (let i = 0; i < 3000 && readJson(shared, "config.json").epochs !== 2000; i++) await Bun.sleep(10)
  isRefused(await run("train", "--resume", shared), shared, "another process")
  first.kill("SIGKILL")
  await ended(first)
  const again = start("train", "--resume", shared)
  const update = positionOf(shared).update
  for (let i = 0; i < 3000 && positionOf(shared).update === update; i++) await Bun.sleep(10)
  expect(positionOf(shared).update).toBeGreaterThan(update)
  again.kill("SIGKILL")

  const both = [start("train", ...tiny(2), "--out", path("both")), start("train", ...tiny(2), "--out", path("both"))]
  const results = await Promise.all(both.map(ended))
  expect(results.map(({ code }) => code).sort()).toEqual([0, 2])
  for (const file of ["metrics.jsonl", "last.safetensors"])
    expect(readFileSync(join(path("both"), file))).toEqual(readFileSync(join(good, file)))
})

test("metrics that are too short for the checkpoint, missing or not a regular file are refused without writing", async () => {
  const metrics = (name: string) => join(path(name), "metrics.jsonl")
  const more = (name: string) => run("train", "--resume", path(name), "--epochs", "3").then(lastLine)
  truncateSync(join(copy("short"), "metrics.jsonl"), 100)
  isRefused(await more("short"), metrics("short"), "100 bytes", `${positionOf(good).metricsBytes}`)
  expect(lstatSync(metrics("short")).size).toBe(100)

  rmSync(join(copy("missing"), "metrics.jsonl"))
  isRefused(await more("missing"), metrics("missing"))
  expect(existsSync(metrics("missing"))).toBe(false)

  rmSync(join(copy("linked"), "metrics.jsonl"))
  const elsewhere = path("elsewhere")
  writeFileSync(elsewhere, "x".repeat(10_000))
  symlinkSync(elsewhere, metrics("linked"))
  isRefused(await more("linked"), metrics("linked"), "symbolic link")
  expect(lstatSync(elsewhere).size).toBe(10_000)

  appendFileSync(join(copy("longer"), "metrics.jsonl"), '{"type":"batch","update":17')
  expect((await more("longer")).code).toBe(0)
  for (const line of readFileSync(metrics("longer"), "utf8").trim().split("\n")) JSON.parse(line)
})

test("a checkpoint position that is impossible for the data is refused", async () => {
  const other = copy("position")
  writeFileSync(join(other, "config.json"), JSON.stringify({ ...readJson(other, "config.json"), limit: 32 }))
  isRefused(await run("train", "--resume", other, "--epochs", "9").then(lastLine), other, "update 16")
})

test("pipes, devices and directories in place of files are refused at once", async () => {
  const pipe = path("pipe")
  execFileSync("mkfifo", [pipe])
  const inRun = (file: string) => {
    const name = `${file}-is-a-pipe`
    rmSync(join(copy(name), file))
    execFileSync("mkfifo", [join(path(name), file)])
    return path(name)
  }
  for (const place of [pipe, "/dev/zero", directory]) {
    isRefused(await run("train", "--config", place, "--out", path("none")), place)
    if (place !== directory) isRefused(await run("train", ...tiny(1), "--init", place, "--out", path("none")), place)
    isRefused(await run("import", place, "--out", path("none")), place)
  }
  isRefused(await run("eval", inRun("graph.json")), "graph.json", "a pipe")
  isRefused(await run("eval", inRun("config.json")), "config.json", "a pipe")
  isRefused(await run("export", inRun("last.safetensors")), "last.safetensors", "a pipe")
  isRefused(await run("train", "--resume", inRun("summary.json")), "summary.json", "a pipe")
  isRefused(await run("train", "--resume", inRun("metrics.jsonl"), "--epochs", "3").then(lastLine), "a pipe")
  isRefused(await run("train", "--resume", inRun(".lock"), "--epochs", "3"), "a pipe")
  mkdirSync(path("goldens"))
  execFileSync("mkfifo", [path("goldens/a.safetensors")])
  isRefused(await run("verify", path("goldens"), "--backend", "reference"), "a.safetensors", "a pipe")
  expect(existsSync(path("none"))).toBe(false)
})
