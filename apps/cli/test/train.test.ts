import { beforeAll, describe, expect, test } from "bun:test"
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { ended, positionOf, readJson, run, small, start, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const whole = join(directory, "whole")
const weights = ["--freeze", "0.bias,3.*", "--clip-norm", "0.5", "--clip-value", "0.1"]
const args = [...small(2), "--policy", "slttk", "--k", "2", ...weights]

const lines = (file: string) =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "").length
    : 0

/** Waits until a run has recorded a number of batches. */
const batchesRecorded = async (path: string, count: number) => {
  for (let i = 0; i < 1000 && lines(join(path, "metrics.jsonl")) < count; i++) await Bun.sleep(10)
}

beforeAll(async () => {
  const { code, stderr } = await run("train", ...args, "--out", whole)
  expect(stderr).toContain("epoch 2/2")
  expect(code).toBe(0)
})

describe("a run", () => {
  test("writes a directory with its settings and results", () => {
    expect(readdirSync(whole).sort()).toEqual([
      ".lock",
      "best.safetensors",
      "config.json",
      "graph.json",
      "last.safetensors",
      "metrics.jsonl",
      "summary.json",
    ])
    const summary = readJson(whole, "summary.json")
    expect(summary).toMatchObject({ epochs: 2, updates: 16, backend: "reference", policy: "slttk", k: 2, seed: 0 })
    for (const figure of ["testAccuracy", "trainAccuracy", "samplesPerSecond", "peakBytes"])
      expect(summary[figure]).toBeGreaterThan(0)
    expect(readJson(whole, "config.json")).toMatchObject({
      ...{ dataset: "shapes", timeSteps: 3, batchSize: 8, tau: 2 },
      ...{ freeze: ["0.bias", "3.*"], clipNorm: 0.5, clipValue: 0.1 },
    })
  })

  test("records every batch and every epoch", () => {
    const records = readFileSync(join(whole, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(records.map(({ type }) => type)).toEqual([
      ...new Array(8).fill("batch"),
      "epoch",
      ...new Array(8).fill("batch"),
      "epoch",
    ])
    expect(records.filter(({ type }) => type === "batch").map(({ update }) => update)).toEqual(
      Array.from({ length: 16 }, (_, i) => i + 1),
    )
    const first = records.slice(0, 8)
    const mean = first.reduce((sum, { loss }) => sum + loss, 0) / 8
    expect(records[8].train.loss).toBe(mean)
  })

  test("has the test results that eval reports", async () => {
    const { code, stdout } = await run("eval", whole, "--json")
    expect(code).toBe(0)
    const { testAccuracy, samples } = JSON.parse(stdout)
    expect(testAccuracy).toBe(readJson(whole, "summary.json").testAccuracy)
    expect(samples).toBe(64)
  })

  test("can be inspected: parameters, firing rates, charts", async () => {
    const { code, stdout } = await run("inspect", whole, "--json")
    expect(code).toBe(0)
    const { parameterCount, firingRates, files } = JSON.parse(stdout)
    expect(parameterCount).toBe(readJson(whole, "summary.json").parameters)
    expect(Object.keys(firingRates)).toEqual(["1", "4"])
    expect(files.map((file: string) => basename(file))).toEqual([
      ...["loss.svg", "loss.png", "accuracy.svg", "accuracy.png", "raster.svg", "raster.png"],
    ])
    for (const file of files) {
      const bytes = readFileSync(file)
      if (file.endsWith(".svg")) expect(bytes.toString().startsWith("<svg")).toBe(true)
      else expect([...bytes.subarray(1, 4)]).toEqual([0x50, 0x4e, 0x47])
    }
  })

  test("can be inspected with a warning if lines of its metrics are damaged", async () => {
    const path = join(directory, "damaged")
    cpSync(whole, path, { recursive: true })
    const metrics = readFileSync(join(path, "metrics.jsonl"), "utf8").split("\n")
    writeFileSync(join(path, "metrics.jsonl"), [...metrics.slice(0, 2), "{", "null", ...metrics.slice(2)].join("\n"))
    const { code, stderr } = await run("inspect", path)
    expect(code).toBe(0)
    expect(stderr).toContain("metrics.jsonl: 2 lines")
  })

  test("prints only JSON on standard output with --json", async () => {
    const { stdout } = await run("train", ...small(1), "--out", join(directory, "json"), "--json")
    expect(JSON.parse(stdout)).toMatchObject({ epochs: 1, directory: join(directory, "json") })
  })
})

describe("an interrupted run resumes bit-identically", () => {
  const sameAsWhole = (path: string) => {
    for (const file of ["metrics.jsonl", "last.safetensors", "best.safetensors", "graph.json", "config.json"])
      expect(readFileSync(join(path, file)).equals(readFileSync(join(whole, file)))).toBe(true)
  }

  test("after Ctrl-C, which stops it after the current batch with a checkpoint", async () => {
    const path = join(directory, "interrupted")
    const child = start("train", ...args, "--out", path)
    await batchesRecorded(path, 3)
    child.kill("SIGINT")
    const { code, stderr } = await ended(child)
    expect(code).toBe(130)
    const { update } = positionOf(path)
    expect(update).toBeGreaterThanOrEqual(3)
    expect(update).toBeLessThan(16)
    expect(stderr).toContain(`stopped after update ${update}; continue with train --resume ${path}`)
    expect((await run("train", "--resume", path)).code).toBe(0)
    sameAsWhole(path)
  })

  test("after a kill in the middle of an epoch", async () => {
    const path = join(directory, "killed")
    const child = start("train", ...args, "--out", path)
    await batchesRecorded(path, 12)
    child.kill("SIGKILL")
    await ended(child)
    expect(positionOf(path).epoch).toBe(1)
    expect((await run("train", "--resume", path)).code).toBe(0)
    sameAsWhole(path)
  })
})

test("a non-finite loss stops the run, names update and layer, and preserves the last good checkpoint", async () => {
  const path = join(directory, "diverged")
  const { code, stderr } = await run("train", ...small(2), "--optimizer", "sgd", "--lr", "1e30", "--out", path)
  expect(code).toBe(1)
  expect(stderr).toMatch(/error: .* at update \d+: /)
  expect(positionOf(path).update).toBe(0)
  expect((await run("eval", path)).code).toBe(0)
})

test("schedule, optimiser options and loss can be set by flags", async () => {
  const path = join(directory, "flags")
  const flags =
    "--schedule step --warm-up 0.5 --step-size 2 --gamma 0.5 --momentum 0.8 --weight-decay 0.001 --loss-mix 0"
  const { code, stderr } = await run(
    ...["train", ...small(1), "--optimizer", "sgd", ...flags.split(" "), "--loss-target", "one-hot", "--out", path],
  )
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" })
  expect(readJson(path, "config.json")).toMatchObject({
    ...{ schedule: "step", warmUp: 0.5, stepSize: 2, gamma: 0.5, momentum: 0.8 },
    ...{ weightDecay: 0.001, lossMix: 0, lossTarget: "one-hot" },
  })
})
