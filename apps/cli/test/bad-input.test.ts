import { beforeAll, expect, test } from "bun:test"
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ended, filesOf, run, small, startAfter, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const good = join(directory, "good")

/** Expects one line on standard error that contains all of `parts`, exit code 2, and no standard output. */
const refusesAfter = async (
  preload: string | undefined,
  args: ReadonlyArray<string>,
  ...parts: ReadonlyArray<string>
) => {
  const { code, stdout, stderr } = await ended(startAfter(preload, ...args))
  expect(stderr.trim().split("\n").length).toBe(1)
  expect(stderr.startsWith("error: ")).toBe(true)
  for (const part of parts) expect(stderr).toContain(part)
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
}

const refuses = (args: ReadonlyArray<string>, ...parts: ReadonlyArray<string>) =>
  refusesAfter(undefined, args, ...parts)

const write = (name: string, content: string | Uint8Array): string => {
  const file = join(directory, name)
  mkdirSync(join(file, ".."), { recursive: true })
  writeFileSync(file, content)
  return file
}

beforeAll(async () => {
  expect((await run("train", ...small(1), "--out", good)).code).toBe(0)
})

test("unknown names are refused with the closest match", async () => {
  await refuses(["train", "--dataset", "mnst"], "mnst", 'did you mean "mnist"?')
  await refuses(["train", "--model", "cnv"], "cnv", 'did you mean "conv"?')
  await refuses(["train", "--policy", "slt"], "slt", 'did you mean "sltt"?')
  await refuses(["train", "--backend", "tfjs-wsm"], "tfjs-wsm", 'did you mean "tfjs-wasm"?')
  await refuses(["train", "--surrogate", "triangel"], "triangel", 'did you mean "triangle"?')
  await refuses(["train", "--optimizer", "adm"], "adm", 'did you mean "adam"?')
  await refuses(["train", "--epoch", "3"], "--epoch", "--epochs")
  await refuses(["trian"], "trian", "train")
})

test("invalid and out-of-range numbers are refused", async () => {
  await refuses(["train", "--epochs", "0"], "--epochs", "0", "whole number from 1")
  await refuses(["train", "--epochs", "2", "--warm-up", "3"], "warmUp is 3", "at most 2")
  await refuses(["train", "--dropout", "1"], "--dropout", "less than 1")
  await refuses(["train", "--momentum", "1e39"], "--momentum", "3.4e38")
  await refuses(["train", "--momentum", "0.5"], "--momentum", "adam")
  await refuses(["train", "--gamma", "0.5"], "--gamma", "cosine")
  await refuses(["train", "--time-steps", "2147483648"], "--time-steps")
  await refuses(["train", "--tau", "Infinity"], "--tau")
  await refuses(["train", "--batch-size", "-3"], "--batch-size", "-3")
  await refuses(["train", "--lr", "0"], "--lr")
  await refuses(["train", "--tau", "0.5"], "--tau", "0.5")
  await refuses(["train", "--time-steps", "two"], "--time-steps", "two")
  await refuses(["train", "--time-steps", "1.5"], "--time-steps", "1.5")
})

test("trained steps that do not match the time steps or the policy are refused", async () => {
  await refuses(["train", "--policy", "slttk", "--k", "9", "--time-steps", "4"], "9", "4 time steps")
  await refuses(["train", "--policy", "slttk"], "--k")
  await refuses(["train", "--policy", "sltt", "--k", "2"], "--k", "slttk")
})

test("faults in config files are reported with their path", async () => {
  const wrongType = write("type.json", `{ "epochs": "two" }`)
  await refuses(["train", "--config", wrongType], wrongType, "epochs", '"two"', "number")
  const unknown = write("unknown.json", `{ "epcohs": 2 }`)
  await refuses(["train", "--config", unknown], unknown, "epcohs", "epochs")
  const noJson = write("no.json", "{")
  await refuses(["train", "--config", noJson], noJson, "JSON")
  await refuses(["train", "--config", join(directory, "absent.json")], "absent.json")
})

test("missing, truncated, foreign or mislabelled data is reported with file and offset", async () => {
  const data = (name: string) => [
    "train",
    "--dataset",
    name,
    "--data-dir",
    directory,
    "--out",
    join(directory, "unwritten"),
  ]
  await refuses(data("mnist"), "train-images-idx3-ubyte", directory)
  const digits = "0,".repeat(64)
  const labelled = write("optdigits/optdigits.tra", `${digits}3\n${digits}12\n`)
  await refuses(data("optdigits"), labelled, "line 2", "12")
  const cut = write("cifar10/data_batch_1.bin", new Uint8Array(3073 + 100))
  await refuses(data("cifar10"), cut, "byte 3073")
  const foreign = write("fashion-mnist/train-images-idx3-ubyte", "this is no IDX file")
  write("fashion-mnist/train-labels-idx1-ubyte", "nor this")
  await refuses(data("fashion-mnist"), foreign, "byte 0")
  expect(readdirSync(directory)).not.toContain("unwritten")
})

test("run directories that are taken, invalid or not writable are refused", async () => {
  const before = filesOf(good)
  await refuses(["train", ...small(1), "--out", good], good, "--resume")
  await refuses(["train", "--resume", good, "--lr", "0.1"], "--resume", "--backend")
  await refuses(["train", "--resume", directory], directory)
  await refuses(["eval", join(directory, "absent")], "absent")
  const file = write("plain-file", "")
  await refuses(["train", ...small(1), "--out", join(file, "run")], join(file, "run"))
  expect(filesOf(good)).toEqual(before)
})

test("a checkpoint of another network is reported with the parameter and both shapes", async () => {
  const other = join(directory, "other")
  expect((await run("train", ...small(1), "--model", "mlp", "--out", other)).code).toBe(0)
  const mixed = join(directory, "mixed")
  cpSync(good, mixed, { recursive: true })
  cpSync(join(other, "last.safetensors"), join(mixed, "last.safetensors"))
  const before = filesOf(mixed)
  await refuses(["eval", mixed], "last.safetensors", "0.weight", "512×1000", "3×3×2×32")
  await refuses(["train", "--resume", mixed], "last.safetensors", "0.weight", "512×1000", "3×3×2×32")
  expect(filesOf(mixed)).toEqual(before)
})

test("a truncated checkpoint is refused", async () => {
  const cut = join(directory, "cut")
  cpSync(good, cut, { recursive: true })
  writeFileSync(join(cut, "last.safetensors"), readFileSync(join(good, "last.safetensors")).subarray(0, 5000))
  await refuses(["eval", cut], "last.safetensors", "truncated at byte 5000")
})

test("invalid golden files are refused", async () => {
  await refuses(["verify", directory, "--backend", "reference"], directory, "golden")
  const goldens = join(directory, "goldens")
  write("goldens/a.safetensors", "x")
  await refuses(["verify", goldens, "--backend", "reference"], join(goldens, "a.safetensors"), "truncated")
})

test("an unavailable backend is reported with the reason", async () => {
  const withoutSimd = write("without-simd.js", "WebAssembly.validate = () => false")
  const out = join(directory, "no-backend")
  await refusesAfter(withoutSimd, ["train", "--backend", "tfjs-wasm", "--out", out], "tfjs-wasm", "SIMD")
  expect(readdirSync(directory)).not.toContain("no-backend")
})

test("a bug prints one line without the exception's text and exits with code 1", async () => {
  for (const handler of [
    "Effect.die(new TypeError('raw text'))",
    "Effect.sync(() => setTimeout(() => { throw new TypeError('raw text') })).pipe(Effect.andThen(Effect.sleep(1000)))",
  ]) {
    const code = `import { Effect } from "effect"
import { Command } from "effect/cli"
import { runMain } from "./src/run-main.ts"
runMain(Command.make("broken", {}, () => ${handler}))`
    const child = (env: Record<string, string>) =>
      ended(
        Bun.spawn([process.execPath, "-e", code], {
          cwd: join(import.meta.dir, ".."),
          stdout: "pipe",
          stderr: "pipe",
          env: { ...process.env, ...env },
        }),
      )
    const { code: exitCode, stdout, stderr } = await child({})
    expect({ exitCode, stdout, lines: stderr.trim().split("\n").length }).toEqual({ exitCode: 1, stdout: "", lines: 1 })
    expect(stderr).not.toContain("raw text")
    expect((await child({ SPIKEROUTE_DEBUG: "1" })).stderr).toContain("raw text")
  }
})

test("text from files is printed on one line, escaped and truncated", async () => {
  const evil = `\u001b]0;PWNED\u0007\n${"x".repeat(100_000)}\u202e`
  const isTame = async (...args: ReadonlyArray<string>) => {
    const { code, stdout, stderr } = await run(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toMatch(/^error: [^\p{Cc}\p{Cf}]{1,2100}\n$/u)
  }
  for (const settings of [{ dataset: evil }, { [evil]: 1 }, { augment: [evil] }, { init: evil }, evil]) {
    await isTame("train", "--config", write("evil.json", JSON.stringify(settings)), "--out", join(directory, "none"))
  }
  const broken = join(directory, "evil")
  for (const [file, content] of [
    ["config.json", JSON.stringify({ ...JSON.parse(readFileSync(join(good, "config.json"), "utf8")), model: evil })],
    ["graph.json", readFileSync(join(good, "graph.json"), "utf8").replaceAll('"conv2d"', JSON.stringify(evil))],
    ["graph.json", readFileSync(join(good, "graph.json"), "utf8").replaceAll('"0.weight"', JSON.stringify(evil))],
  ] as const) {
    cpSync(good, broken, { recursive: true, force: true })
    writeFileSync(join(broken, file), content)
    await isTame("eval", broken)
  }
})
