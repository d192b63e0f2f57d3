/**
 * `peers`: the same training iterations in PyTorch and here, side by side in one run.
 *
 * PyTorch's are timed by a script that prints a line of JSON with `s_per_iter` and `rss_growth_mb` for one configuration:
 * `bench.py --model conv --impl plain|plainopt --method sltt|slttk|bptt --T 4 --batch 64 --threads 2 [--hoist] [--channels-last]`.
 * What counts is the fastest of its configurations.
 */
import { join } from "node:path"
import { print, say, table } from "@spikeroute/cli/terminal"
import { Backend, Program } from "@spikeroute/core"
import { Context, Data, Effect, Layer } from "effect"
import { backendLayer } from "../backends.ts"
import { inTurn, milliseconds, timingOf } from "../timing.ts"
import { describe, noise, percent, prepare, type Workload, workloads } from "../workloads.ts"

export class PeerError extends Data.TaggedError("PeerError")<{ readonly command: string; readonly output: string }> {
  override get message(): string {
    return `${this.command} did not print a line of JSON: ${this.output.trim().split("\n").at(-1) ?? ""}`
  }
}

export interface PeersOptions {
  readonly python: string
  /** The folder of bench.py. */
  readonly scripts: string
  readonly backends: ReadonlyArray<string>
  readonly threads: number
  readonly rounds: number
}

const configurations = ({ model, policy }: Workload): ReadonlyArray<ReadonlyArray<string>> => {
  const layouts = model === "conv" ? [[], ["--channels-last"]] : [[]]
  const kinds = policy.name === "bptt" ? [["plain"]] : [["plain"], ["plainopt"], ["plainopt", "--hoist"]]
  return kinds.flatMap((kind) => layouts.map((layout) => ["--impl", ...kind, ...layout]))
}

interface PeerTime {
  readonly s_per_iter: number
  readonly rss_growth_mb: number
}

const runPeer = (
  { python, scripts, threads }: PeersOptions,
  workload: Workload,
  configuration: ReadonlyArray<string>,
) =>
  Effect.gen(function* () {
    const { model, policy, timeSteps, batchSize } = workload
    const method = policy.name.startsWith("sltt") && policy.name !== "sltt" ? "slttk" : policy.name
    const args = [
      join(scripts, "bench.py"),
      ...["--model", model, "--method", method, "--T", `${timeSteps}`, "--batch", `${batchSize}`],
      ...["--threads", `${threads}`, ...configuration],
    ]
    const child = Bun.spawn([python, ...args], { stderr: "pipe" })
    const [out, error] = yield* Effect.promise(() => Promise.all([child.stdout.text(), child.stderr.text()]))
    return yield* Effect.try({
      try: () => JSON.parse(out) as PeerTime,
      catch: () => new PeerError({ command: [python, ...args].join(" "), output: error }),
    })
  })

const compare = (workload: Workload, options: PeersOptions) =>
  Effect.gen(function* () {
    const { backends, threads, rounds } = options
    const runs = yield* Effect.forEach(backends, (name) =>
      Effect.gen(function* () {
        const context = yield* Layer.build(backendLayer(name, threads))
        return yield* prepare(workload).pipe(Effect.provideService(Backend, Context.get(context, Backend)))
      }),
    )
    const batch = noise(workload.batchSize)
    const own = runs.map((): Array<number> => [])
    const peers = configurations(workload).map((configuration) => ({
      configuration,
      seconds: [] as Array<number>,
      growth: 0,
    }))
    for (let round = 0; round < rounds; round++) {
      for (const peer of peers) {
        yield* say(`round ${round + 1}: PyTorch ${peer.configuration.join(" ")}`)
        const { s_per_iter, rss_growth_mb } = yield* runPeer(options, workload, peer.configuration)
        peer.seconds.push(s_per_iter)
        peer.growth = Math.max(peer.growth, rss_growth_mb * 2 ** 20)
        const timings = yield* inTurn(
          runs.map((run) => run.step(batch)),
          { rounds: 5 },
        )
        for (const [i, { median }] of timings.entries()) own[i]?.push(median)
      }
    }
    const fastest = Math.min(...peers.map(({ seconds }) => timingOf(seconds).median))
    yield* print(
      [
        `\n${describe(workload)}, ${threads} threads, ${rounds} rounds`,
        table(
          ["", "median ms", "× fastest PyTorch", "memory", "firing rates"],
          [
            ...peers.map(({ configuration, seconds, growth }) => [
              `PyTorch ${configuration.slice(1).join(" ")}`,
              milliseconds(timingOf(seconds).median),
              (fastest / timingOf(seconds).median).toFixed(2),
              Program.formatBytes(growth),
              "",
            ]),
            ...runs.map((run, i) => [
              backends[i] as string,
              milliseconds(timingOf(own[i] ?? []).median),
              (fastest / timingOf(own[i] ?? []).median).toFixed(2),
              Program.formatBytes(run.trainer.executable.allocatedBytes()),
              run.last().firingRates.map(percent).join(" "),
            ]),
          ],
        ),
      ].join("\n"),
    )
  }).pipe(Effect.scoped)

export const peers = (options: PeersOptions) =>
  Effect.forEach(workloads, (workload) => compare(workload, options), { discard: true })
