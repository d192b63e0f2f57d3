/**
 * Kills runs at random moments with SIGKILL and Ctrl-C and resumes them: their files and results must equal those of an uninterrupted run.
 *
 *     bun apps/cli/test/kills.ts --runs 100 --seed 1 --backend native
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Key } from "@spikeroute/core"
import { ended, readJson, run, start } from "./support.ts"

export interface Killed {
  readonly kills: number
  /** Number of signals received before the run was created, during it, and after its end. */
  readonly moments: Readonly<Record<"before" | "within" | "after", number>>
  /** Files that differ from the uninterrupted run; an exit code if the run could not be resumed. */
  readonly differences: ReadonlyArray<string>
}

const files = ["metrics.jsonl", "last.safetensors", "best.safetensors", "graph.json", "config.json"]

/** The results without timings. */
const results = (path: string) => ({ ...readJson(path, "summary.json"), seconds: 0, samplesPerSecond: 0 })

const differencesOf = (path: string, whole: string): ReadonlyArray<string> => [
  ...files.filter((file) => !readFileSync(join(path, file)).equals(readFileSync(join(whole, file)))),
  ...(Bun.deepEquals(results(path), results(whole)) ? [] : ["summary.json"]),
]

const bytesIn = (file: string) => (existsSync(file) ? statSync(file).size : 0)

/**
 * Waits for a fraction of `span` milliseconds, or until a fraction of the metrics still missing from `whole` bytes has been written, plus a
 * few milliseconds.
 */
const moment = async (child: ReturnType<typeof start>, metrics: string, whole: number, span: number, share: number) => {
  const isByTime = share < 0.2
  const target = bytesIn(metrics) + ((share - 0.2) / 0.8) * (whole - bytesIn(metrics))
  if (isByTime) return Promise.race([child.exited, Bun.sleep(5 * share * span)])
  while (child.exitCode === null && bytesIn(metrics) < target) await Bun.sleep(1)
  return Bun.sleep((share * 1e4) % 20)
}

/** Trains in `path` with the arguments of the run in `whole`, which took `span` milliseconds, and kills it one to three times. */
const killed = async (path: string, whole: string, args: ReadonlyArray<string>, span: number, key: Key.Key) => {
  const draws = Key.uniform(key, new Float32Array(7))
  const moments = { before: 0, within: 0, after: 0 }
  const begin = () =>
    existsSync(join(path, "config.json")) ? start("train", "--resume", path) : start("train", ...args, "--out", path)
  const metrics = join(path, "metrics.jsonl")
  const kills = 1 + Math.floor((draws[0] as number) * 3)
  for (let i = 1; i <= kills; i++) {
    const child = begin()
    await moment(child, metrics, bytesIn(join(whole, "metrics.jsonl")), span, draws[i] as number)
    const isRunning = child.exitCode === null
    child.kill((draws[3 + i] as number) < 0.3 ? "SIGINT" : "SIGKILL")
    await ended(child)
    moments[isRunning ? (bytesIn(metrics) > 0 ? "within" : "before") : "after"]++
  }
  const { code, stderr } = await ended(begin())
  return { kills, moments, differences: code === 0 ? differencesOf(path, whole) : [`exit code ${code}: ${stderr}`] }
}

/** Kills and resumes `runs` runs, one after the other, of a network that trains in about a second. */
export const killedRuns = async function* (runs: number, seed: number, backend: string): AsyncGenerator<Killed> {
  const directory = mkdtempSync(join(tmpdir(), "spikeroute-kills-"))
  try {
    const settings = "--limit 64 --batch-size 8 --time-steps 3 --epochs 4 --width 0.25 --policy slttk --k 2"
    const args = [...settings.split(" "), "--backend", backend]
    const whole = join(directory, "whole")
    const began = performance.now()
    const { code, stderr } = await run("train", ...args, "--out", whole)
    if (code !== 0) throw new Error(stderr)
    const span = performance.now() - began
    for (let i = 0; i < runs; i++) {
      const path = join(directory, "killed")
      yield await killed(path, whole, args, span, Key.fold(Key.make(seed), i))
      rmSync(path, { recursive: true })
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "100" },
      seed: { type: "string", default: "1" },
      backend: { type: "string", default: "native" },
    },
  })
  const all: Array<Killed> = []
  for await (const each of killedRuns(Number(values.runs), Number(values.seed), values.backend)) {
    all.push(each)
    if (each.differences.length > 0) console.log(`run ${all.length}: ${each.differences.join(", ")}`)
  }
  const sum = (of: (each: Killed) => number) => all.reduce((total, each) => total + of(each), 0)
  const good = all.filter(({ differences }) => differences.length === 0).length
  const moments = (["before", "within", "after"] as const).map((when) => `${sum((each) => each.moments[when])} ${when}`)
  console.log(`${good} of ${all.length} runs have the bits of the whole one, after ${sum(({ kills }) => kills)} kills:`)
  console.log(`${moments.join(", ")} the run`)
  process.exitCode = good === all.length ? 0 : 1
}
