import { describe, expect, test } from "bun:test"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { crc32, deflateSync } from "node:zlib"
import { ended, readJson, run, runWith, start, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const images = join(directory, "images")

/** A single-colour PNG. */
const png = (side: number, colour: ReadonlyArray<number>): Buffer => {
  const word = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
  const chunk = (type: string, data: ReadonlyArray<number>) => {
    const content = [...Buffer.from(type), ...data]
    return [...word(data.length), ...content, ...word(crc32(Buffer.from(content)))]
  }
  const rows = Array.from({ length: side }, () => [0, ...Array.from({ length: side }, () => colour).flat()]).flat()
  return Buffer.from([
    ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    ...chunk("IHDR", [...word(side), ...word(side), 8, 2, 0, 0, 0]),
    ...chunk("IDAT", [...deflateSync(Buffer.from(rows))]),
    ...chunk("IEND", []),
  ])
}

const write = (path: string, content: Buffer | string) => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

for (const part of ["train", "val"])
  for (let i = 0; i < 24; i++)
    write(join(images, part, i % 2 === 0 ? "dark" : "light", `${i}.png`), png(12, [i % 2 === 0 ? 20 : 200, i * 9, 90]))

const argsFor = (data: string, ...more: ReadonlyArray<string>) => [
  ..."train --dataset image-folder --size 8 --batch-size 4 --time-steps 2 --backend reference --epochs 2".split(" "),
  ...["--data-dir", data, ...more],
]
const args = (...more: ReadonlyArray<string>) => argsFor(images, ...more)
const files = ["metrics.jsonl", "last.safetensors", "best.safetensors"] as const
const bytes = (path: string) => files.map((file) => readFileSync(join(path, file)).toString("base64"))

describe("image-folder", () => {
  const inline = join(directory, "inline")

  test("training is bit-identical with and without workers; config.json records size and augmentation", async () => {
    expect((await run(...args("--workers", "0", "--out", inline))).code).toBe(0)
    const workers = join(directory, "workers")
    expect((await run(...args("--workers", "2", "--out", workers))).code).toBe(0)
    expect(bytes(workers)).toEqual(bytes(inline))
    expect(readJson(inline, "config.json")).toMatchObject({ size: 8, augment: ["resized-crop", "flip"] })
    const { code, stdout } = await run("eval", workers, "--json")
    expect(code).toBe(0)
    expect(JSON.parse(stdout).testAccuracy).toBe(readJson(workers, "summary.json").testAccuracy)
  }, 120_000)

  test("Ctrl-C stops training and its workers at once, and training resumes bit-identically", async () => {
    const path = join(directory, "interrupted")
    const child = start(...args("--workers", "1", "--out", path))
    const recorded = () => {
      try {
        return readFileSync(join(path, "metrics.jsonl"), "utf8").split("\n").length - 1
      } catch {
        return 0
      }
    }
    for (let i = 0; i < 12_000 && recorded() < 2; i++) await Bun.sleep(5)
    child.kill("SIGINT")
    const { code, stderr } = await ended(child)
    expect(stderr).toContain("train --resume")
    expect(code).toBe(130)
    expect((await run("train", "--resume", path, "--workers", "2")).code).toBe(0)
    expect(bytes(path)).toEqual(bytes(inline))
  }, 120_000)

  test("a file that a worker cannot decode ends the run with the file's name", async () => {
    const broken = join(directory, "broken")
    for (const part of ["train", "val"])
      for (let i = 0; i < 8; i++) write(join(broken, part, "only", `${i}.png`), png(8, [1, 2, 3]))
    const bad = join(broken, "train/only/5.png")
    write(bad, "no picture")
    const { code, stderr } = await run(...argsFor(broken, "--workers", "1", "--out", join(directory, "unfinished")))
    expect(stderr).toContain(`error: ${bad}: begins "no picture"`)
    expect(code).toBe(2)
  }, 120_000)
})

test("augmentations are selected by name, in order, or disabled", async () => {
  const small = "train --limit 32 --batch-size 8 --time-steps 2 --epochs 1 --backend reference".split(" ")
  const chosen = join(directory, "chosen")
  expect((await run(...small, "--augment", "roll,flip", "--out", chosen)).code).toBe(0)
  expect(readJson(chosen, "config.json").augment).toEqual(["roll", "flip"])
  const none = join(directory, "none")
  expect((await run(...small, "--augment", "none", "--out", none)).code).toBe(0)
  const usual = join(directory, "usual")
  expect((await run(...small, "--out", usual)).code).toBe(0)
  expect(bytes(none)).toEqual(bytes(usual))
  expect(bytes(chosen)).not.toEqual(bytes(usual))
})

test("invalid data set options are refused in one line", async () => {
  const refused = async (...given: ReadonlyArray<string>) => {
    const { code, stderr } = await run("train", ...given)
    expect(code).toBe(2)
    expect(stderr.trim().split("\n").length).toBe(1)
    return stderr
  }
  expect(await refused("--augment", "flop")).toContain('--augment.0 is "flop"')
  expect(await refused("--dataset", "mnist", "--size", "14")).toContain("mnist: size is 14")
  expect(await refused("--workers", "-1")).toContain("--workers")
  expect(await refused("--dataset", "dvs-gesture", "--data-dir", directory)).toContain("trials_to_train.txt")
  expect(await refused("--dataset", "image-folder", "--data-dir", directory)).toContain("train/<class>")
})

test("plan works without the data set's files and uses the requested size", async () => {
  const planned = async (...given: ReadonlyArray<string>) => {
    const { code, stdout } = await runWith({ XDG_CACHE_HOME: directory }, "plan", "--json", ...given)
    expect(code).toBe(0)
    return JSON.parse(stdout)
  }
  const [large, small] = [
    await planned("--dataset", "cifar10-dvs", "--size", "128"),
    await planned("--dataset", "cifar10-dvs"),
  ]
  const peak = (plan: unknown) => Number(/"peakBytes":(\d+)/.exec(JSON.stringify(plan))?.[1])
  expect(peak(large)).toBeGreaterThan(4 * peak(small))
  expect(JSON.stringify(await planned("--dataset", "shd"))).toContain('"mlp"')
})
