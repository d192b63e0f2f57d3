/** Training on several processes is bit-identical to one process, and reports as a single command. */
import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { launchers, start } from "@spikeroute/test-support/mpi"
import { command, ended, readJson, run, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const small = "--backend reference --limit 32 --batch-size 8 --time-steps 2 --epochs 1 --width 0.5"
const args = [...small.split(" "), "--lr", "0.01", "--micro-batches", "4"]
const [, main = ""] = command()

/** The files of a run that must be bit-identical for any number of processes. */
const bitsOf = (path: string) =>
  ["last.safetensors", "best.safetensors", "metrics.jsonl"].map((name) => readFileSync(join(path, name)))

const alone = run("train", ...args, "--out", join(directory, "alone"))

describe.each([...launchers])("$name", (launcher) => {
  const at = (name: string) => join(directory, launcher.name.replace(" ", "-"), name)
  const launch = (ranks: number, ...args: ReadonlyArray<string>) => ended(start(launcher, ranks, [main, ...args]))

  test("a run interrupted and resumed on a different number of processes is bit-identical to one process", async () => {
    await alone
    const path = at("resumed")
    const first = start(launcher, 2, [main, "train", "--distributed", ...args, "--out", path])
    while (!existsSync(join(path, "metrics.jsonl")) || readFileSync(join(path, "metrics.jsonl")).length === 0)
      await Bun.sleep(10)
    first.kill("SIGINT")
    const interrupted = await ended(first)
    expect(interrupted.code).not.toBe(0)
    // Rank 0 speaks for all, unless Open MPI kills it first, a second after SIGINT: the run resumes from what it had stored.
    expect((interrupted.stderr.match(/^stopped after update .*$/gm) ?? []).length).toBeLessThanOrEqual(1)
    const { code, stdout, stderr } = await launch(4, "train", "--distributed", "--resume", path, "--json")
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(JSON.parse(stdout)).toMatchObject({ epochs: 1, directory: path })
    expect(bitsOf(path)).toEqual(bitsOf(join(directory, "alone")))
    expect(readJson(path, "config.json")).toEqual(readJson(join(directory, "alone"), "config.json"))
  }, 60_000)
})

test.skipIf(launchers.length === 0)(
  "an error in one process is reported in one line with its rank, and ends all processes",
  async () => {
    const [launcher] = launchers as [(typeof launchers)[number]]
    const path = join(directory, "refused")
    const common = [main, "train", "--distributed", ...args, "--out", path]
    const other = [":", "-n", "1", process.execPath, ...common, "--seed", "3"]
    const settings = await ended(start(launcher, 1, [...common, ...other]))
    expect(settings.code).not.toBe(0)
    expect(settings.stderr.match(/^.*error: .*$/gm)).toEqual(["error: rank 1 has another seed than rank 0: 3, not 0"])
    const missing = await ended(start(launcher, 1, [...common, ...other, "--config", "/no/such/file"]))
    expect(missing.code).not.toBe(0)
    expect(missing.stderr.match(/^.*error: .*$/gm)).toEqual([
      expect.stringMatching(/^rank 1: error: .*\/no\/such\/file/),
    ])
    expect(existsSync(path)).toBe(false)
  },
  60_000,
)
