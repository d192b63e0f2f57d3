/** `memory`: how much a process grows by training, beside what was planned. Each case has a process of its own. */
import { print, table } from "@spikeroute/cli/terminal"
import { Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import type { Workload } from "../workloads.ts"
import type { Growth } from "./memory-process.ts"

const conv = (policy: Policy.Policy, timeSteps: number): Workload => ({
  model: "conv",
  policy,
  timeSteps,
  batchSize: 64,
})

const cases: ReadonlyArray<Workload> = [
  conv(Policy.sltt, 4),
  conv(Policy.sltt, 32),
  conv(Policy.sltt, 64),
  conv(Policy.bptt, 32),
]

const measure = (backend: string, threads: number, { model, policy, timeSteps, batchSize }: Workload) =>
  Effect.promise(async (): Promise<Growth> => {
    const child = Bun.spawn(
      [
        process.execPath,
        new URL("./memory-process.ts", import.meta.url).pathname,
        ...[backend, threads, model, policy.name, timeSteps, batchSize].map(String),
      ],
      { stderr: "inherit" },
    )
    return JSON.parse(await child.stdout.text())
  })

export const memory = (backends: ReadonlyArray<string>, threads: number) =>
  Effect.gen(function* () {
    const rows: Array<ReadonlyArray<string>> = []
    for (const backend of backends)
      for (const workload of cases) {
        const { planned, allocated, growth, loss } = yield* measure(backend, threads, workload)
        rows.push([
          `${backend} ${workload.model} ${workload.policy.name} T = ${workload.timeSteps}`,
          ...[planned, allocated, growth].map(Program.formatBytes),
          (growth / planned).toFixed(2),
          loss.toFixed(3),
        ])
      }
    yield* print(
      [
        `growth of the process while it prepares a program and trains for five iterations, batch 64, ${threads} threads`,
        table(["", "planned", "allocated", "peak growth", "÷ planned", "loss"], rows),
      ].join("\n"),
    )
  })
